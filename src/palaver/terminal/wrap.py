"""Word wrap that takes its text in pieces and never takes back a row."""

from __future__ import annotations

import re
from collections.abc import Sequence

from palaver.terminal import width as cells
from palaver.terminal.style import Run

_PIECES = re.compile(r"\n| +|[^ \n]+")
_FLAGS = range(0x1F1E6, 0x1F200)
# A row does not begin with these, and does not end with those (JIS X 4051, the common part).
_NOT_FIRST = frozenset(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー’”）〕］｝〉》」』】°′″％」｡､ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ.,:;!?)]}"
)
_NOT_LAST = frozenset("‘“（〔［｛〈《「『【「([{")


class Wrapper:
    """Breaks runs into rows of at most `width` cells, at spaces and beside wide characters.

    A row is finished as soon as the word after it is known not to fit; what was fed before never
    changes it. `rows` holds the finished rows, the caller takes them out. Rows begin with
    `first`, all but the first with `rest`. A word that is longer than a row is cut, unless `cut`
    is False: then the terminal breaks it, and it can be copied whole.
    """

    def __init__(
        self, width: int, first: Sequence[Run] = (), rest: Sequence[Run] = (), *, cut: bool = True
    ) -> None:
        self.rows: list[list[Run]] = []
        self._first, self._rest = list(first), list(rest)
        self._cut = cut
        self._row: list[Run] = []
        self._used = 0  # cells of `_row`
        self._space: list[Run] = []
        self._word: list[Run] = []
        self._cells = 0  # cells of `_word`
        self._before = ""  # the last character of `_word`
        self._flags = 0  # flag letters at the end of `_word`
        self.empty = True  # nothing fed since the last newline
        self._fit(width)

    def _fit(self, width: int) -> None:
        taken = max(
            sum(cells.most(text) for text, _ in self._rest),
            sum(cells.most(text) for text, _ in self._first),
        )
        if taken + 2 > width:  # no room beside the prefix: its text goes in front, once
            self._row[:0], self._first, self._rest = self._first, [], []
            self._used += taken
            taken = 0
        self.room = max(1, width - taken)

    def fork(self) -> Wrapper:
        """Return a copy that can go on by itself; `rows` of it is empty."""
        new = object.__new__(Wrapper)
        new.__dict__.update(self.__dict__)
        new.rows = []
        new._row, new._space, new._word = list(self._row), list(self._space), list(self._word)
        return new

    def resize(self, width: int) -> None:
        """Go on with another width; finished rows stay as they are."""
        runs = [*self._row, *self._space, *self._word]
        self._row, self._space, self._word = [], [], []
        self._used = self._cells = 0
        self._before = ""
        self._fit(width)
        for text, style in runs:
            self.feed(text, style)

    def feed(self, text: str, style: int = 0) -> None:
        """Add text; a newline in it ends the row."""
        for piece in _PIECES.findall(text):
            if piece == "\n":
                self.newline()
            elif piece[0] == " ":
                self._end_word()
                self._space.append((piece, style))
            elif piece.isascii():
                wide = self._before and not self._before.isascii() and cells.of(self._before) == 2
                if wide and piece[0] not in _NOT_FIRST and self._before not in _NOT_LAST:
                    self._end_word()
                self._grow(piece, style, len(piece))
            else:
                self._feed_wide(piece, style)

    def _feed_wide(self, piece: str, style: int) -> None:
        for char in piece:
            before, size = self._before, cells.of(char)
            flag = ord(char) in _FLAGS
            stays = (
                not before
                or cells.sticks(char, before)
                or (flag and self._flags % 2 == 1)
                or char in _NOT_FIRST
                or before in _NOT_LAST
                or (size < 2 and cells.of(before) < 2 and before != "\ufe0f")
            )
            if not stays:
                self._end_word()
            if char == "\ufe0f" and before and cells.of(before) == 1:
                size = 1
            self._grow(char, style, size)
            self._flags = self._flags + 1 if flag else 0

    def _grow(self, piece: str, style: int, size: int) -> None:
        self.empty = False
        if self._word and self._word[-1][1] == style:
            self._word[-1] = (self._word[-1][0] + piece, style)
        else:
            self._word.append((piece, style))
        self._cells += size
        self._before = piece[-1]
        while self._cells > self.room:
            if self._used:
                self._end_row()
            self._space.clear()
            if not (self._cut and self._cut_word()):
                break

    def _cut_word(self) -> bool:
        """Fill a row with the beginning of a word that is too long for any row."""
        room = self.room
        for at, (text, style) in enumerate(self._word):
            size = cells.most(text)
            if size <= room:
                room -= size
                continue
            keep = cells.split(text, room)
            if at and cells.most(text[:keep]) > room:
                keep = 0  # not even its first glyph
            if keep >= len(text) and at == len(self._word) - 1:
                return False  # one glyph, wider than the row
            self._row = [*self._word[:at], (text[:keep], style)] if keep else self._word[:at]
            self._word = [(text[keep:], style), *self._word[at + 1 :]]
            if not self._word[0][0]:
                del self._word[0]
            self._cells = sum(cells.most(part) for part, _ in self._word)
            self._end_row()
            return True
        return False

    def _end_word(self) -> None:
        if not self._word:
            return
        space = sum(len(text) for text, _ in self._space)
        if self._used and self._used + space + self._cells > self.room:
            self._end_row()
        if self._used:
            self._row += self._space
            self._used += space
        self._row += self._word
        self._used += self._cells
        self._space, self._word, self._cells, self._before, self._flags = [], [], 0, "", 0

    def _end_row(self) -> None:
        self.rows.append([*self._first, *self._row])
        self._first = self._rest
        self._row, self._used = [], 0
        self._space.clear()

    def newline(self) -> None:
        """End the row, also an empty one."""
        self._end_word()
        self._end_row()
        self.empty = True

    def finish(self) -> None:
        """End the last row if there is anything on it."""
        self._end_word()
        if self._row or (self._first is not self._rest and self._first):
            self._end_row()
        self.empty = True


def chop(runs: Sequence[Run], room: int) -> list[list[Run]]:
    """Cut runs into rows of at most `room` cells, without regard to words; at least one row."""
    rows: list[list[Run]] = [[]]
    left = room
    for text, style in runs:
        while text:
            size = cells.most(text)
            if size <= left:
                rows[-1].append((text, style))
                left -= size
                break
            keep = cells.split(text, left)
            if rows[-1] and cells.most(text[:keep]) > left:
                keep = 0
            if keep:
                rows[-1].append((text[:keep], style))
                text = text[keep:]
            if text:
                rows.append([])
                left = room
    return rows

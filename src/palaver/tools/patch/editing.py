"""Applies the hunks of an update to the text of a file; pure.

Line ends stay as they are, mixed ones too; added lines take the file's first. The last line keeps
its lack of a newline unless it is replaced or something is put behind it. Kept lines stay as the
file has them where they matched loosely.
"""

from __future__ import annotations

import re

from msgspec import Struct

from palaver.tools.patch.errors import PatchError
from palaver.tools.patch.grammar import Hunk, Line
from palaver.tools.patch.matching import LEVELS, Haystack

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")
_SHOWN = 8  # lines of a hunk or a file in a message


class Edited(Struct, frozen=True):
    """A file's new text, and a note for each hunk that fitted, but not exactly."""

    text: str
    notes: tuple[str, ...]


class _Replacement(Struct, frozen=True):
    """What stands in the place of `length` lines from `start` on."""

    start: int
    length: int
    lines: list[tuple[str, str]]


class _Found(Struct, frozen=True):
    start: int
    lines: tuple[Line, ...]
    note: str = ""


def edit(text: str, hunks: tuple[Hunk, ...]) -> Edited:
    """Apply `hunks`, which stand in the order of the file. Raises PatchError for one that fits
    nowhere; it says which, what was looked for, and what stands at the nearest place."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = split(text.removeprefix(mark))
    editor = _Editor(lines, hunks)
    return Edited(mark + editor.text(), tuple(editor.notes))


def split(text: str) -> list[tuple[str, str]]:
    r"""Return the lines of `text`, each with its end: `\r\n`, `\n`, `\r` or, the last, none."""
    lines = [(match[1], match[2]) for match in _LINE.finditer(text)]
    while lines and lines[-1] == ("", ""):
        lines.pop()
    return lines


class _Editor:
    def __init__(self, lines: list[tuple[str, str]], hunks: tuple[Hunk, ...]) -> None:
        self._lines = lines
        self._hay = Haystack([text for text, _ in lines])
        self._newline = _newline(lines, hunks)
        self._cursor = 0
        self.notes: list[str] = []
        self._made: list[_Replacement] = []
        for number, hunk in enumerate(hunks, 1):
            name = f"hunk {number}" + (f" of {len(hunks)}" if len(hunks) > 1 else "")
            try:
                self._place(hunk, name)
            except PatchError as error:
                raise PatchError(f"{name} (patch line {hunk.at}): {error.message}") from None

    def text(self) -> str:
        """Return the file with every hunk applied."""
        out: list[tuple[str, str]] = []
        done = 0
        for made in sorted(self._made, key=lambda m: m.start):
            out += self._lines[done : made.start] + made.lines
            done = max(done, made.start + made.length)
        out += self._lines[done:]
        inner = [(text, end or self._newline) for text, end in out[:-1]]
        return "".join(text + end for text, end in inner + out[-1:])

    def _place(self, hunk: Hunk, name: str) -> None:
        floor, unanchored = self._floor(hunk)
        if not _old(hunk.lines):
            if unanchored:
                raise PatchError(self._no_anchor(unanchored))
            self._insert(hunk, floor)
            return
        found = self._find(hunk, max(floor, self._cursor), unanchored)
        if found is None and floor > self._cursor and not unanchored:
            # The @@ line given once more as the hunk's first line.
            found = self._find(hunk, floor - 1, unanchored)
        if found is None and not any(_old(hunk.lines)) and floor > self._cursor:
            self._insert(hunk, floor)  # the empty lines only make room in the patch
            return
        if found is None:
            raise PatchError(self._not_found(hunk, max(floor, self._cursor)))
        if found.note:
            self.notes.append(f"{name} {found.note}")
        self._replace(found)

    def _floor(self, hunk: Hunk) -> tuple[int, str]:
        """Return the line after the hunk's @@ lines, and the one that the file does not have.

        Several narrow a place down, so each must be there. A single one only helps to tell equal
        places apart; without it the hunk's own lines must stand there once.
        """
        at = self._cursor
        for level, anchor in enumerate(hunk.anchors):
            if not anchor.strip():
                continue
            place = self._hay.find([anchor], at)
            if place is None and level == 0:  # an outer one, above the last hunk
                place = self._hay.find([anchor], 0)
            if place is None:
                if len(hunk.anchors) > 1:
                    raise PatchError(self._no_anchor(anchor))
                return self._cursor, anchor
            at = place[0] + 1
        return at, ""

    def _find(self, hunk: Hunk, start: int, unanchored: str) -> _Found | None:
        for lines in _readings(hunk.lines):
            found = self._hay.find(_old(lines), start, at_end=hunk.at_end)
            if found:
                return self._judged(found, hunk, lines, start, unanchored)
        return None

    def _judged(
        self,
        found: tuple[int, int],
        hunk: Hunk,
        lines: tuple[Line, ...],
        start: int,
        unanchored: str,
    ) -> _Found:
        place, level = found
        places = self._hay.places(_old(lines), level, start)
        other = next((p for p in places if p != place), None) if not hunk.at_end else None
        how = LEVELS[level][1]
        said = [how] if how else []
        if unanchored:
            if other is not None:
                raise PatchError(
                    f"{self._no_anchor(unanchored)}, and the hunk's lines stand at line"
                    f" {place + 1} and at line {other + 1}: name a line above the right ones"
                )
            said.append(f"though `@@ {unanchored}` is not in the file")
        elif other is not None and not any(hunk.anchors):
            said.append(f"the first of several places (also line {other + 1})")
        return _Found(
            place, lines, f"matched at line {place + 1}, {', '.join(said)}" if said else ""
        )

    def _insert(self, hunk: Hunk, floor: int) -> None:
        """Put lines that come without context after their @@ line, else at the file's end."""
        at = floor
        if hunk.at_end or not any(hunk.anchors):
            at = len(self._lines)
            if self._lines and not self._lines[-1][0]:
                at -= 1  # a file's empty last line stays the last
        added = [(line.text, self._newline) for line in hunk.lines if line.kind == "+"]
        self._made.append(_Replacement(at, 0, added))

    def _replace(self, found: _Found) -> None:
        at = found.start
        lines: list[tuple[str, str]] = []
        for line in found.lines:
            if line.kind == "+":
                lines.append((line.text, self._newline))
                continue
            if line.kind == " ":
                lines.append(self._lines[at])
            at += 1
        self._made.append(_Replacement(found.start, at - found.start, lines))
        self._cursor = at

    def _no_anchor(self, anchor: str) -> str:
        return f"the file has no line `{anchor}` (after @@) from line {self._cursor + 1} on"

    def _not_found(self, hunk: Hunk, start: int) -> str:
        old = _old(hunk.lines)
        said = f"these lines are not in the file from line {start + 1} on"
        if hunk.at_end:
            said = "these lines are not at the end of the file"
        said += f":\n{_shown([f'  {text}' for text in old])}"
        new = [line.text for line in hunk.lines if line.kind != "-"]
        elsewhere = self._hay.find(old)
        if elsewhere and elsewhere[0] < start:
            return (
                f"{said}\nthey stand at line {elsewhere[0] + 1}, above the hunk before this one"
                " or its @@ line: put the hunks in the order of the file"
            )
        if elsewhere:
            return f"{said}\nthey stand at line {elsewhere[0] + 1}, with more lines below"
        if new and new != old and (there := next(self._hay.places(new, 0), None)) is not None:
            return f"{said}\nbut the new ones stand at line {there + 1} already: applied before?"
        return f"{said}\n{self._nearest(old, start)}"

    def _nearest(self, old: list[str], start: int) -> str:
        place = self._hay.nearest(old, start)
        if not self._lines:
            return "the file is empty"
        if place is None:
            return f"the file has {len(self._lines)} lines, and none is like them; read it again"
        near = self._hay.lines[place : place + len(old)]
        numbered = [f"  {number}: {text}" for number, text in enumerate(near, place + 1)]
        return f"the nearest place is line {place + 1}, which has:\n{_shown(numbered)}"


def _old(lines: tuple[Line, ...]) -> list[str]:
    return [line.text for line in lines if line.kind != "+"]


def _readings(lines: tuple[Line, ...]) -> list[tuple[Line, ...]]:
    """Return the hunk as it stands, then without its last empty line, then without all of them:
    often they stand for the newline at the file's end, or only make room in the patch."""
    shorter = [_without_blank_end(lines, most) for most in (1, len(lines))]
    return [lines, *(reading for reading in shorter if _old(reading) and reading != lines)]


def _without_blank_end(lines: tuple[Line, ...], most: int) -> tuple[Line, ...]:
    """Drop the last lines that are not added, at most so many, as far as they are empty."""
    kept: list[Line] = []
    dropped = ""
    for line in reversed(lines):
        if most and line.kind != "+":
            if not line.text:
                most -= 1
                dropped = line.kind
                continue
            most = 0
        kept.append(line)
    if dropped == "-" and kept[:1] == [Line("+", "")]:
        del kept[0]  # the same empty line, given back
    return tuple(reversed(kept))


def _newline(lines: list[tuple[str, str]], hunks: tuple[Hunk, ...]) -> str:
    """Return how added lines end: as the file's first does that ends in a line feed."""
    ends = [end for _, end in lines if end]
    fed = next((end for end in ends if end != "\r"), "")
    if fed or ends:
        return fed or ends[0]
    return "\r\n" if any(hunk.crlf for hunk in hunks) else "\n"


def _shown(lines: list[str]) -> str:
    """Join lines, cut where they are many or long."""
    kept = [line if len(line) <= 200 else f"{line[:200]}..." for line in lines[:_SHOWN]]
    more = len(lines) - _SHOWN
    return "\n".join(kept + [f"  ... {more} more"] * (more > 0))

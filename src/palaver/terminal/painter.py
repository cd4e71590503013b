"""Writes finished rows into the scrollback, and below them rows that are written over.

Inline: no alternate screen, no scroll region. The only control sequences are those for going up,
erasing a row or the end of the screen, and the mode of synchronised output (DEC private mode 2026,
which terminals that lack it ignore). Each paint is one call of `write`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from palaver.terminal import width as cells

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_NEWLINE = "\r\n"


class Painter:
    """Keeps a tail of rows at the end of what was written.

    `write` gets text for the terminal, `size` returns its columns and lines. The cursor stands
    at the end of the tail, or on an empty row if there is none. `reflows`: on a narrower window
    the terminal breaks rows anew instead of cutting them off (most do; xterm, the Linux console
    and GNU screen don't). If that is wrong, false leaves old rows of the tail above the new one,
    true erases as many finished rows; so false is the default.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        size: Callable[[], tuple[int, int]],
        *,
        reflows: bool = False,
    ) -> None:
        self._write, self._size, self._reflows = write, size, reflows
        self._shown: list[str] = []  # the rows of the tail on the screen
        self._columns = 0  # of the terminal when they were written

    def update(self, finished: Sequence[str], tail: Sequence[str]) -> None:
        """Write `finished` rows for good where the tail was, and `tail` below them."""
        columns, lines = self._size()
        tail = tail[-max(1, lines - 1) :]  # what has left the screen can't be written over
        old, new = self._shown, [*finished, *tail]
        same = 0
        if not old or columns == self._columns:
            for was, now in zip(old, new, strict=False):
                if was != now:
                    break
                same += 1
        if len(new) < len(old):  # the cursor has to end in a row that is written
            same = min(same, max(0, len(new) - 1))
        self._shown, up = list(tail), self._rows_up(old[same:], columns)
        moved = bool(old) and columns != self._columns
        self._columns = columns
        if same == len(old) == len(new) and not moved and tail:
            return None
        out = _NEWLINE.join(new[same:])
        end = "" if tail or not new else _NEWLINE
        if not old:
            return self._put(out + end, sync=False)
        if same == len(old):  # only more rows
            between = _NEWLINE if new[same:] else ""
            return self._put(between + out + end, sync=False)
        grown = same == len(old) - 1 and same < len(new) and not moved
        if grown and new[same].startswith(old[-1]):  # only more text on the last row
            return self._put(out[len(old[-1]) :] + end, sync=False)
        # Row by row: tmux takes erasing the whole screen for `clear`, and keeps what was on it.
        climb = "\r\x1b[2K" + "\x1b[A\x1b[2K" * up
        if moved and up:
            climb += "\x1b[J"
        return self._put(climb + out + end, sync=True)

    def _rows_up(self, rows: Sequence[str], columns: int) -> int:
        """Return how far above the cursor the first of `rows`, the end of the tail, begins."""
        count = len(rows)
        if self._reflows and columns < self._columns:
            count = sum(
                max(1, -(-cells.likely(_SGR.sub("", row)) // max(1, columns))) for row in rows
            )
        return max(0, count - 1)

    def _put(self, text: str, *, sync: bool) -> None:
        if text:
            self._write(f"{_BEGIN}{text}{_END}" if sync else text)

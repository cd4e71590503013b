"""Tokens' own text on the screen: no Markdown, nothing left out, rows cut where they are full."""

from __future__ import annotations

from collections.abc import Callable

from palaver.terminal.answer import Update
from palaver.terminal.escape import Escaper
from palaver.terminal.style import QUOTE, Palette, Run
from palaver.terminal.wrap import chop


class RawView:
    """What was read is dimmed, what was sampled is not."""

    def __init__(
        self, update: Update, size: Callable[[], tuple[int, int]], *, color: bool = True
    ) -> None:
        self._update, self._size = update, size
        self._palette = Palette(color=color)
        self._escaper = Escaper()
        self._finished: list[str] = []
        self._row: list[Run] = []

    def feed(self, text: str, *, read: bool = False) -> None:
        """Take more text; nothing is written yet."""
        self._add(self._escaper.feed(text), QUOTE if read else 0)

    def paint(self) -> None:
        """Write what has changed since the last time."""
        finished, self._finished = self._finished, []
        self._update(finished, [self._palette.render(self._row)] if self._row else [])

    def finish(self) -> None:
        """Write the rest. The cursor is left on an empty row."""
        self._add(self._escaper.finish(), 0)
        rows = [self._palette.render(self._row)] if self._row else []
        self._row = []
        self._update([*self._finished, *rows], ())
        self._finished = []

    def _add(self, text: str, style: int) -> None:
        first, *others = text.expandtabs(8).split("\n")
        self._fill(first, style)
        for line in others:
            self._finished.append(self._palette.render(self._row))
            self._row = []
            self._fill(line, style)

    def _fill(self, text: str, style: int) -> None:
        if not text:
            return
        if self._row and self._row[-1][1] == style:
            self._row[-1] = (self._row[-1][0] + text, style)
        else:
            self._row.append((text, style))
        *full, self._row = chop(self._row, self._size()[0])
        self._finished += [self._palette.render(row) for row in full]

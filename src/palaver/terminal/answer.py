"""An answer on the screen while it comes: as Markdown, or as folded reasoning.

`feed` takes text, `paint` brings the screen up to date, `finish` ends it. How often to paint is
the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from palaver.terminal.markdown.stream import MarkdownStream
from palaver.terminal.style import Palette

DIM = "2"  # SGR

Update = Callable[[Sequence[str], Sequence[str]], None]  # finished rows, tail: `Painter.update`


class MarkdownView:
    """Markdown, finished rows in the scrollback, the open end repainted below them."""

    def __init__(
        self,
        update: Update,
        size: Callable[[], tuple[int, int]],
        *,
        color: bool = True,
        base: str = "",
        chop_code: bool = False,
    ) -> None:
        self._update, self._size = update, size
        self._stream = MarkdownStream(size()[0], color=color, base=base, chop_code=chop_code)
        self._finished: list[str] = []

    def feed(self, text: str) -> None:
        """Take more text; nothing is written yet."""
        self._finished += self._stream.feed(text)

    def paint(self) -> None:
        """Write what has changed since the last time."""
        if (columns := self._size()[0]) != self._stream.width:
            self._stream.resize(columns)
        self._put(self._stream.tail())

    def suspend(self) -> None:
        """Take what is unfinished off the screen; the next paint brings it back."""
        self._put([])

    def finish(self) -> None:
        """Write the rest. The cursor is left on an empty row."""
        self._finished += self._stream.finish()
        self._put([])

    def _put(self, tail: list[str]) -> None:
        finished, self._finished = self._finished, []
        self._update(finished, tail)


class FoldedView:
    """Reasoning: its last few rows while it comes, dimmed; one line of it when it is over."""

    ROWS = 3

    def __init__(
        self,
        update: Update,
        size: Callable[[], tuple[int, int]],
        *,
        color: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._update, self._clock, self._begun = update, clock, clock()
        self._view = MarkdownView(self._last, size, color=color, base=DIM, chop_code=True)
        self._palette = Palette(color=color, base=DIM)
        self._kept: list[str] = []

    def feed(self, text: str) -> None:
        """Take more text; nothing is written yet."""
        self._view.feed(text)

    def paint(self) -> None:
        """Write what has changed since the last time."""
        self._view.paint()

    def _last(self, finished: Sequence[str], tail: Sequence[str]) -> None:
        """Show the last rows alone, and none for good."""
        self._kept = [*self._kept, *finished][-self.ROWS :]
        self._update((), [*self._kept, *tail][-self.ROWS :])

    def suspend(self) -> None:
        """Take the rows off the screen; the next paint brings them back."""
        self._view.suspend()
        self._update((), ())

    def finish(self, tokens: int | None = None) -> None:
        """Replace the rows by a line that says how long it took; `tokens` is an estimate."""
        seconds = self._clock() - self._begun
        took = f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
        line = f"thought for {took}" + (f", ~{tokens} tokens" if tokens is not None else "")
        self._update([self._palette.render([(line, 0)])], ())

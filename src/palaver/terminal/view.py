"""An answer above the input line: reasoning folded or dimmed, text as Markdown, calls as lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from palaver.core.events import CallParsed, Event, Prefill, ReasoningDelta, TextDelta
from palaver.terminal.answer import DIM, FoldedView, MarkdownView
from palaver.terminal.escape import visible
from palaver.terminal.words import rate

Rows = Sequence[str]


class AnswerView:
    """Turns events into rows that are final and a tail that is not; writes nothing itself."""

    def __init__(self, columns: Callable[[], int], *, color: bool) -> None:
        self.show_reasoning = False
        self._columns = columns
        self._color = color
        self._final: list[str] = []
        self._tail: Rows = ()
        self._view: MarkdownView | FoldedView | None = None
        self._kind = ""
        self._waiting = ""
        self._began = 0.0
        self._reasoned = 0

    def begin(self, what: str) -> None:
        """Start an answer; `what` is shown until something comes."""
        self._waiting = what
        self._began = time.monotonic()
        self._final, self._tail, self._view, self._kind = [], (), None, ""
        self._reasoned = 0

    def feed(self, events: Sequence[Event]) -> list[str]:
        """Take a frame; return the rows that are final now."""
        for event in events:
            if isinstance(event, TextDelta):
                self._more("text", event.text)
            elif isinstance(event, ReasoningDelta):
                self._reasoned += 1
                self._more("reasoning", event.text)
            elif isinstance(event, CallParsed):
                self._close()
                call = f"{event.call.name}({event.call.arguments})"
                self._final.append(f"[call] {visible(call, newlines=False)}")
            elif isinstance(event, Prefill):
                self._waiting = self._progress(event)
        if self._view:
            self._view.paint()
        return self._take()

    def finish(self) -> list[str]:
        """End the answer; return the rows that are left."""
        self._close()
        self._waiting = ""
        self._tail = ()
        return self._take()

    def tail(self) -> Rows:
        """Return the rows that are not final; before the first word, what is waited for."""
        if self._tail or self._kind:
            return self._tail
        if not self._waiting:
            return ()
        seconds = time.monotonic() - self._began
        return (f"{self._waiting} ... {seconds:.0f} s" if seconds >= 1 else f"{self._waiting} ...",)

    def _more(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self._close()
            self._kind = kind
            self._view = self._open(kind)
        if self._view:
            self._view.feed(text)

    def _open(self, kind: str) -> MarkdownView | FoldedView:
        if kind == "reasoning" and not self.show_reasoning:
            return FoldedView(self._update, self._size, color=self._color)
        base = DIM if kind == "reasoning" and self._color else ""
        return MarkdownView(self._update, self._size, color=self._color, base=base)

    def _close(self) -> None:
        if isinstance(self._view, FoldedView):
            self._view.finish(self._reasoned)
        elif self._view:
            self._view.finish()
        self._view = None

    def _update(self, finished: Rows, tail: Rows) -> None:
        self._final += finished
        self._tail = tuple(tail)

    def _take(self) -> list[str]:
        final, self._final = self._final, []
        return final

    def _size(self) -> tuple[int, int]:
        return max(2, self._columns() - 1), 1000

    def _progress(self, p: Prefill) -> str:
        fresh, done = p.total - p.reused, p.done - p.reused
        if fresh <= 0:
            return "reading"
        width = max(0, min(20, self._columns() - 60))
        filled = width * max(done, 0) // fresh
        bar = f" [{'#' * filled}{'.' * (width - filled)}]" if width else ""
        speed = f", {rate(done, time.monotonic() - self._began)}" if done > 0 else ""
        return f"reading{bar} {max(done, 0)} of {fresh} tokens ({p.reused} reused){speed}"

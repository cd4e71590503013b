"""How the answer to one question is shown: Markdown, plain text to a pipe, or JSON events."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from palaver.config import environment
from palaver.core.events import (
    Event,
    ReasoningDelta,
    StateChanged,
    TextDelta,
    ToolFinished,
    ToolOutput,
    ToolStarted,
    Waiting,
)
from palaver.core.log import Row
from palaver.terminal.answer import MarkdownView
from palaver.terminal.painter import Painter
from palaver.terminal.plain import PlainScreen


class OneShotScreen(PlainScreen):
    """Shows one answer; there is no prompt behind it."""

    def __init__(self, *, kept: bool) -> None:
        """`kept`: the session can be gone on with."""
        super().__init__()
        self._kept = kept

    def recap(self, text: str) -> None:
        """Show nothing of a session that is gone on with."""

    def advise(self, what: str, how: str) -> None:
        """Say where commands can be typed."""
        self.note(f"{what}: {how}, in `palaver --resume last`" if self._kept else what)

    def end(self, row: Row | None) -> None:
        """End the answer's last line; say where it is not whole."""
        self._end_line()
        self._tell_ending(row)


class JsonScreen(OneShotScreen):
    """Writes an event a line; `type` says which."""

    def show(self, events: Sequence[Event]) -> None:
        """Write the events as they are; what is asked and answered needs no states."""
        for event in events:
            if isinstance(event, StateChanged):
                continue
            self._write(msgspec.json.encode(event).decode() + "\n")

    def end(self, row: Row | None) -> None:
        """The last event said it all; a person is told how it ended."""
        self._tell_ending(row)


class MarkdownScreen(OneShotScreen):
    """Renders the answer on a terminal; reasoning is left out."""

    def __init__(self, *, color: bool, kept: bool) -> None:
        super().__init__(kept=kept)
        self._color = color
        self._view: MarkdownView | None = None

    def begin(self, what: str) -> None:
        """Start an answer."""
        painter = Painter(self._raw, _size, reflows=environment.reflows())
        self._view = MarkdownView(painter.update, _size, color=self._color)

    def show(self, events: Sequence[Event]) -> None:
        """Bring the screen up to date."""
        if self._view:
            for event in events:
                if isinstance(event, TextDelta):
                    self._view.feed(event.text)
                elif isinstance(event, Waiting):
                    self._wait(event)
                elif isinstance(event, ToolStarted | ToolOutput | ToolFinished):
                    self._view.finish()
                    self._tool(event)
                    self.begin("")
            self._view.paint()

    def end(self, row: Row | None) -> None:
        """Write the rest."""
        if self._view:
            self._view.finish()
        self._tell_ending(row)

    def _raw(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class PipeScreen(OneShotScreen):
    """Writes the visible text alone: what is piped on is the answer."""

    def show(self, events: Sequence[Event]) -> None:
        """Write the text."""
        super().show([event for event in events if not isinstance(event, ReasoningDelta)])


def make_screen(*, as_json: bool, raw: bool, kept: bool) -> PlainScreen:
    """Choose by where the output goes; `raw`: tokens' own text, which is no Markdown."""
    if as_json:
        return JsonScreen(kept=kept)
    if raw:
        return OneShotScreen(kept=kept)
    if sys.stdout.isatty() and not environment.dumb_terminal():
        return MarkdownScreen(color=environment.color_wanted(), kept=kept)
    return PipeScreen(kept=kept)


def _size() -> tuple[int, int]:
    import shutil

    size = shutil.get_terminal_size()
    return max(2, size.columns - 1), size.lines

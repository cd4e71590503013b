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
    ToolStarted,
    Waiting,
)
from palaver.core.log import Row
from palaver.terminal.answer import MarkdownView
from palaver.terminal.escape import visible
from palaver.terminal.painter import Painter
from palaver.terminal.plain import PlainScreen
from palaver.terminal.toolview import tool_line


class OneShotScreen(PlainScreen):
    """What was said before the question is not asked for."""

    def recap(self, text: str) -> None:
        """Show nothing of a session that is gone on with."""


class JsonScreen(OneShotScreen):
    """Writes an event a line; `type` says which."""

    def show(self, events: Sequence[Event]) -> None:
        """Write the events as they are; what is asked and answered needs no states."""
        for event in events:
            if isinstance(event, StateChanged):
                continue
            self._write(msgspec.json.encode(event).decode() + "\n")

    def end(self, row: Row | None) -> None:
        """The last event said it all."""


class MarkdownScreen(OneShotScreen):
    """Renders the answer on a terminal; reasoning is left out."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color
        self._view: MarkdownView | None = None

    def begin(self, what: str) -> None:
        """Start an answer."""
        painter = Painter(self._raw, _size)
        self._view = MarkdownView(painter.update, _size, color=self._color)

    def show(self, events: Sequence[Event]) -> None:
        """Bring the screen up to date."""
        if self._view:
            for event in events:
                if isinstance(event, TextDelta):
                    self._view.feed(event.text)
                elif isinstance(event, Waiting):
                    self._wait(event)
                elif isinstance(event, ToolStarted | ToolFinished):
                    self._view.finish()
                    self.note(visible(tool_line(event)))
                    self.begin("")
            self._view.paint()

    def end(self, row: Row | None) -> None:
        """Write the rest."""
        if self._view:
            self._view.finish()

    def _raw(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class PipeScreen(OneShotScreen):
    """Writes the visible text alone: what is piped on is the answer."""

    def show(self, events: Sequence[Event]) -> None:
        """Write the text."""
        super().show([event for event in events if not isinstance(event, ReasoningDelta)])


def make_screen(*, as_json: bool, raw: bool = False) -> PlainScreen:
    """Choose by where the output goes; `raw`: tokens' own text, which is no Markdown."""
    if as_json:
        return JsonScreen()
    if raw:
        return OneShotScreen()
    if sys.stdout.isatty() and not environment.dumb_terminal():
        return MarkdownScreen(color=environment.color_wanted())
    return PipeScreen()


def _size() -> tuple[int, int]:
    import shutil

    size = shutil.get_terminal_size()
    return max(2, size.columns - 1), size.lines

"""How the answer to one question is shown: Markdown, plain text to a pipe, or JSON events."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count

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
from palaver.terminal.fold import beginning
from palaver.terminal.painter import Painter
from palaver.terminal.plain import PlainScreen


class Waits:
    """Says on a terminal what is waited for, from the first second on; gone when anything comes."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._shown = False

    def begin(self, what: Callable[[], str]) -> None:
        """Begin to wait; `what` says for what, each second."""
        if sys.stderr.isatty() and not environment.dumb_terminal():
            self._task = asyncio.create_task(self._tell(what))

    async def _tell(self, what: Callable[[], str]) -> None:
        for passed in count(1):
            await asyncio.sleep(1)
            columns = shutil.get_terminal_size().columns
            self._show(beginning(f"{what()} ... {passed} s", max(2, columns - 1)))

    def end(self) -> None:
        """Take away what was said; safe to call twice."""
        if self._task:
            self._task.cancel()
            self._task = None
            if self._shown:
                self._show("")

    def _show(self, text: str) -> None:
        self._shown = True
        with suppress(OSError):
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()


class OneShotScreen(PlainScreen):
    """Shows one answer; there is no prompt behind it."""

    def __init__(self, *, kept: bool) -> None:
        """`kept`: the session can be gone on with."""
        super().__init__()
        self._kept = kept
        self.waits = Waits()

    def _tell(self, text: str) -> None:
        self.waits.end()
        super()._tell(text)

    def _write(self, text: str) -> None:
        if text:
            self.waits.end()
        super()._write(text)

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
        self.waits.end()
        sys.stdout.write(text)
        sys.stdout.flush()


class PipeScreen(OneShotScreen):
    """Writes the visible text alone: what is piped on is the answer."""

    def show(self, events: Sequence[Event]) -> None:
        """Write the text."""
        super().show([event for event in events if not isinstance(event, ReasoningDelta)])


def make_screen(*, as_json: bool, raw: bool, kept: bool) -> OneShotScreen:
    """Choose by where the output goes; `raw`: tokens' own text, which is no Markdown."""
    if as_json:
        return JsonScreen(kept=kept)
    if raw:
        return OneShotScreen(kept=kept)
    if sys.stdout.isatty() and not environment.dumb_terminal():
        return MarkdownScreen(color=environment.color_wanted(), kept=kept)
    return PipeScreen(kept=kept)


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return max(2, size.columns - 1), size.lines

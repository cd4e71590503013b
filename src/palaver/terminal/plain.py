"""The chat without redrawing: for pipes, dumb terminals and --plain."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from palaver.config import environment
from palaver.config.settings import Settings
from palaver.core.events import Event, ReasoningDelta, TextDelta
from palaver.core.log import Row
from palaver.terminal import lines
from palaver.terminal.command import Leave
from palaver.terminal.controller import Controller
from palaver.terminal.escape import Escaper


class PlainScreen:
    """Writes lines; a model's text passes unchanged to a pipe, escaped to a terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._escaper = Escaper()
        self._last = "\n"

    def note(self, text: str) -> None:
        """Write to stderr, so that a pipe holds the answers alone."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def error(self, error: Exception) -> None:
        """Write an error to stderr."""
        self.note(f"palaver: {error}")

    def page(self, text: str) -> None:
        """Write a longer text."""
        self._write(text.rstrip("\n") + "\n")

    def begin(self, what: str) -> None:
        """Nothing is shown before the first token."""
        self._escaper = Escaper()

    def show(self, events: Sequence[Event]) -> None:
        """Write the visible text; reasoning goes to stderr where that is another place."""
        for event in events:
            if isinstance(event, TextDelta):
                self._write(self._escaper.feed(event.text) if self._terminal else event.text)
            elif isinstance(event, ReasoningDelta) and not self._terminal:
                sys.stderr.write(event.text)

    def end(self, row: Row | None) -> None:
        """End the answer's last line; the figures go to stderr."""
        if self._terminal:
            self._write(self._escaper.finish())
        if self._last != "\n":
            self._write("\n")
        if self._terminal:
            self.note(f"[{lines.after_answer(row)}]")

    def said(self, text: str, *, again: bool) -> None:
        """Show what is asked again."""
        if self._terminal:
            self.note(f"> {text}")

    def offer(self, text: str) -> None:
        """There is no input line to put text into: show it, to be sent in other words."""
        self.note(text)

    def changed(self) -> None:
        """There is no status line."""

    async def edit(self, text: str) -> str | None:
        """Let the user change a text in their editor."""
        from palaver.terminal.editor import edit_text

        return await asyncio.to_thread(edit_text, text, environment.editor())

    def clear(self) -> None:
        """What is written stays."""

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._last = text[-1]


def run_plain(settings: Settings, flags: dict[str, Any], waiting: Any) -> int:
    """Run the chat until its input ends or the user leaves."""
    try:
        return asyncio.run(_main(settings, flags, waiting))
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


async def _main(settings: Settings, flags: dict[str, Any], waiting: Any) -> int:
    chat = Controller(settings, flags, PlainScreen())
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    ended = False

    def interrupt() -> None:
        if not chat.stop() and main:
            main.cancel()

    def end() -> None:
        nonlocal ended
        ended = True
        chat.stop()
        if main and not chat.busy:
            main.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    for name in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, end)
    try:
        await chat.open(waiting)
        await chat.ready()
        while not ended and (line := await _line()) is not None:
            await lines.handle(chat, line)
    except Leave:
        pass
    except asyncio.CancelledError:
        return 143 if ended else 130
    finally:
        with suppress(asyncio.CancelledError):
            await chat.close()
    return 0


async def _line() -> str | None:
    """Read a line without blocking the loop; None at the end of the input."""
    if sys.stdin.isatty():
        sys.stderr.write("you> ")
        sys.stderr.flush()
    line = await asyncio.to_thread(sys.stdin.readline)
    return line or None

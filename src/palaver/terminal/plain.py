"""The chat without redrawing: for pipes, dumb terminals and --plain."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from palaver import launch
from palaver.chat.front import Answer, Question, nobody
from palaver.config.settings import Settings
from palaver.core.errors import PalaverError, UserError
from palaver.core.events import (
    Event,
    MessageDone,
    Raw,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolOutput,
    ToolStarted,
    Waiting,
)
from palaver.core.log import Row
from palaver.terminal import consent, lines
from palaver.terminal.command import Leave
from palaver.terminal.controller import Controller
from palaver.terminal.escape import Escaper, visible
from palaver.terminal.fold import folded, folded_table
from palaver.terminal.status import header
from palaver.terminal.stdin import Lines
from palaver.terminal.toolview import tool_line
from palaver.terminal.words import again_in

_TWICE = 2.0  # seconds within which a second Ctrl-C at the prompt leaves


class PlainScreen:
    """Writes lines; a model's text passes unchanged to a pipe, escaped to a terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._told = sys.stderr.isatty()
        self._escaper = Escaper()
        self._last = "\n"
        self.code = 0  # of the newest error
        self._printed: set[str] = set()  # calls whose output was shown as it came
        self._verbatim = False  # tokens' own text is shown, and nothing that is parsed of it
        self._waiting = False  # that something is waited for was said
        self.lines: Lines | None = None  # where somebody sits who can be asked

    def note(self, text: str) -> None:
        """Write to stderr, so that a pipe holds the answers alone."""
        self._tell(folded(text, _columns()) if self._told else text)

    def advise(self, what: str, how: str) -> None:
        """Write where things stand, to stderr."""
        self.note(f"{what}: {how}")

    def _tell(self, text: str) -> None:
        with suppress(OSError):  # nobody listens: what is said to them is of no use
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def error(self, error: Exception) -> None:
        """Write an error to stderr."""
        self.code = error.exit_code if isinstance(error, PalaverError) else 1
        text = f"palaver: {error}"
        self.note(visible(text) if self._told else text)

    def page(self, text: str) -> None:
        """Write a longer text."""
        text = text.rstrip("\n")
        self._write(f"{folded_table(text, _columns()) if self._terminal else text}\n")

    def recap(self, text: str) -> None:
        """Write what was said before to stderr: a pipe holds what is said from now on."""
        self.note(text)

    def begin(self, what: str) -> None:
        """Nothing is shown before the first token."""
        self._escaper = Escaper()
        self._verbatim = False

    def show(self, events: Sequence[Event]) -> None:
        """Write the visible text; reasoning goes to stderr where that is another place."""
        for event in events:
            self._verbatim = self._verbatim or isinstance(event, Raw)
            if isinstance(event, Raw) or (isinstance(event, TextDelta) and not self._verbatim):
                if isinstance(event, TextDelta) and event.new and event.error:
                    self.note(visible(f"[{event.error}]"))
                self._write(self._escaper.feed(event.text) if self._terminal else event.text)
            elif isinstance(event, ReasoningDelta) and not (self._terminal or self._verbatim):
                with suppress(OSError):
                    sys.stderr.write(visible(event.text) if self._told else event.text)
            elif isinstance(event, Waiting):
                self._wait(event)
            elif isinstance(event, MessageDone) and event.message.calls:
                self._end_line()
            elif isinstance(event, ToolStarted | ToolOutput | ToolFinished):
                self._tool(event)

    def _tool(self, event: ToolStarted | ToolOutput | ToolFinished) -> None:
        """Write what a tool does to stderr, as it does it."""
        if isinstance(event, ToolOutput):
            self._printed.add(event.call_id)
            self._tell(visible(event.text.removesuffix("\n")))
        else:
            ended = isinstance(event, ToolFinished) and event.result.call_id in self._printed
            self._tell(visible(tool_line(event, printed=ended)))

    def _wait(self, event: Waiting) -> None:
        """Say once what is waited for: nothing here can be written over."""
        if event.seconds and not self._waiting:
            self.note(visible(again_in(event.why, event.seconds)))
        self._waiting = event.seconds > 0

    def end(self, row: Row | None) -> None:
        """End the answer's last line; the figures go to stderr."""
        self._end_line()
        if self._terminal and (figures := lines.after_answer(row)):
            self.note(f"[{figures}]")
        elif not self._terminal:
            self._tell_ending(row)

    def _tell_ending(self, row: Row | None) -> None:
        if ending := lines.how_it_ended(row):
            self.advise(ending, lines.GO_ON)

    def _end_line(self) -> None:
        if self._terminal:
            self._write(self._escaper.finish())
            self._escaper = Escaper()
        if self._last != "\n":
            self._write("\n")

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[None]:
        """Nothing is drawn; what is piped in or read from a pipe runs nothing."""
        if self.lines is None or not self._terminal:
            raise UserError("commands are run at a terminal alone")
        yield

    def typed(self) -> str | None:
        """Nothing is read before a turn is over."""
        return None

    def sent(self) -> None:
        """Nothing is typed ahead."""

    @property
    def asks(self) -> bool:
        """Whether somebody sits at both ends."""
        return self.lines is not None

    async def ask(self, question: Question) -> Answer:
        """Ask on stderr, where somebody sits at both ends."""
        if self.lines is None:
            return await nobody(question)
        self.note(consent.put(question, 80, color=False))
        while (line := await self.lines.next()) is not None:
            if answer := consent.read(line, question):
                return answer
            self.note(consent.unread(question))
        return await nobody(question)

    def said(self, text: str) -> None:
        """Show what is asked again."""
        if self._terminal:
            self.note(f"> {visible(text)}")

    def offer(self, text: str) -> None:
        """There is no input line to put text into: show it, to be sent in other words."""
        self.note(visible(text) if self._told else text)

    def changed(self) -> None:
        """There is no status line."""

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is left in the buffer would be complained about at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            reason = error.strerror or str(error)
            raise PalaverError(f"the output can't be written: {reason}") from None
        self._last = text[-1]


def _columns() -> int:
    return max(2, shutil.get_terminal_size().columns - 1)


def run_plain(settings: Settings, flags: dict[str, Any], waiting: Any) -> int:
    """Run the chat until its input ends or the user leaves."""
    try:
        return asyncio.run(_Plain(settings, flags).main(waiting))
    except BrokenPipeError:
        # What is left in the buffer would be complained about at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Plain:
    """Reads a line, does it, reads the next."""

    def __init__(self, settings: Settings, flags: dict[str, Any]) -> None:
        self._screen = PlainScreen()
        self.chat = Controller(settings, flags, self._screen)
        self._header = header(settings, flags)
        self._asks = sys.stdin.isatty()
        self._waits = False
        self._interrupted = -_TWICE
        self._code = 0
        self._main: asyncio.Task[Any] | None = None

    async def main(self, waiting: Any) -> int:
        """Run until the input ends; returns the exit code."""
        loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for name in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, self._end, 128 + name)
        chat, source = self.chat, Lines(sys.stdin.fileno())
        try:
            if self._asks and sys.stderr.isatty():
                self._screen.lines = source
            if self._asks:
                chat.screen.note(self._header)
            begun = asyncio.to_thread(launch.start, chat.settings, waiting)
            await chat.open(asyncio.create_task(begun))
            if not self._asks:
                await chat.ready()  # a model that can't be loaded ends it before a line is taken
            while not self._code:
                self._prompt()
                self._waits = True
                line = await source.next()
                self._waits = False
                if line is None:
                    break
                await lines.handle(chat, line)
        except Leave:
            pass
        except asyncio.CancelledError:
            self._code = self._code or 130
        finally:
            with suppress(asyncio.CancelledError):
                await chat.close()
        return self._code or (0 if self._asks else self._screen.code)

    def _prompt(self) -> None:
        if self._asks:
            with suppress(OSError):
                sys.stderr.write("you> ")
                sys.stderr.flush()

    def _interrupt(self) -> None:
        """Ctrl-C: stop the answer; at the prompt the terminal drops the line; twice, leave."""
        if self.chat.stop():
            return
        now = time.monotonic()
        if self._asks and self._waits and now - self._interrupted > _TWICE:
            self._interrupted = now
            self.chat.screen.note("\nCtrl-C again leaves")
            self._prompt()
        else:
            self._end(130)

    def _end(self, code: int) -> None:
        self._code = code
        if not self.chat.stop() and self._main:
            self._main.cancel()

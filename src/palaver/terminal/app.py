"""The chat in a full terminal: inline in the scrollback, the input line always usable.

Imports prompt_toolkit alone; everything else is loaded after the prompt was drawn.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prompt_toolkit.formatted_text import ANSI, AnyFormattedText
from prompt_toolkit.history import ThreadedHistory
from prompt_toolkit.output import create_output

from palaver.config import environment, paths
from palaver.config.settings import Settings
from palaver.terminal.history import PrivateHistory
from palaver.terminal.keys import bindings
from palaver.terminal.layout import PROMPT, make_application

if TYPE_CHECKING:
    from palaver.core.events import Event
    from palaver.core.log import Row
    from palaver.terminal.controller import Controller
    from palaver.terminal.view import AnswerView

_TWICE = 2.0  # seconds within which a second Ctrl-C leaves
_PAUSE = 0.25  # seconds without a key before the next turn's cost is counted


def run_app(settings: Settings, flags: dict[str, Any], waiting: Any) -> int:
    """Run the chat until the user leaves; returns the exit code."""
    return asyncio.run(App(settings, flags, waiting).main())


class App:
    """The terminal front end; implements `palaver.terminal.controller.Screen`."""

    def __init__(self, settings: Settings, flags: dict[str, Any], waiting: Any) -> None:
        self.settings = settings
        self.color = environment.color_wanted()
        self.chat: Controller | None = None
        self.view: AnswerView | None = None
        self.queue: list[str] = []
        self._flags = flags
        self._waiting = waiting
        self._status = ""
        self._news = asyncio.Event()
        self._interrupted = 0.0
        self._last_key = 0.0
        self._warmed = False
        self._exit_code = 0
        self._left = False
        self._gone = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.output = create_output(sys.stdout)
        self.output.enable_cpr = False  # type: ignore[attr-defined]  # it delays the first key
        self.application, self.buffer = make_application(
            self._tail,
            lambda: self._status or "starting",
            bindings(self),
            ThreadedHistory(PrivateHistory(paths.state_dir() / "history")),
            self.output,
            vi=settings.editing == "vi",
            color=self.color,
        )
        self.buffer.on_text_changed += self._typed

    # -- the life of the program -----------------------------------------------------------

    async def main(self) -> int:
        """Draw the prompt, open the chat behind it, work until the user leaves."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, self.leave, 128 + name)
        self._header()
        worker = asyncio.create_task(self._work())
        try:
            await self.application.run_async(handle_sigint=False)
        except OSError:
            self._gone = True  # the terminal was closed: what was said is on disk all the same
        finally:
            self._left = True
            if self.chat:
                self.chat.stop()
            self._news.set()
            await worker
        return self._exit_code

    def leave(self, code: int = 0) -> None:
        """Leave the chat; what is under way is kept."""
        self._exit_code = code
        self._left = True
        self._news.set()
        if self.application.is_running and not self.application.is_done:
            self.application.exit()

    async def _work(self) -> None:
        """Open the chat, then do what was typed, one line after the other."""
        await self._drawn()
        from palaver.core.errors import PalaverError
        from palaver.terminal.command import Leave
        from palaver.terminal.controller import Controller
        from palaver.terminal.lines import handle
        from palaver.terminal.view import AnswerView

        self.view = AnswerView(self.columns, color=self.color)
        self.chat = chat = Controller(self.settings, self._flags, self)
        try:
            await chat.open(self._waiting)
            self._complete_with(chat)
            self._background(self._refresh())
            while not self._left or self.queue:
                if not self.queue:
                    self._news.clear()
                    await self._news.wait()
                    continue
                if self._left:
                    break
                await handle(chat, self.queue.pop(0))
                self._background(self._refresh())
        except Leave:
            self.leave()
        except PalaverError as error:
            self.error(error)
            self.leave(error.exit_code)
        finally:
            for task in self._tasks:
                task.cancel()
            await chat.close()

    async def _drawn(self) -> None:
        """Wait until the prompt is on the screen: nothing may delay it."""
        drawn = asyncio.Event()
        self.application.after_render += lambda _app: drawn.set()
        await drawn.wait()

    def _background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        from palaver.core.errors import PalaverError

        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            if not isinstance(error, PalaverError):
                raise error
            self.error(error)

    def _complete_with(self, chat: Controller) -> None:
        from palaver.terminal.completion import ChatCompleter

        self.buffer.completer = ChatCompleter(chat)

    # -- keys ------------------------------------------------------------------------------

    def submit(self, text: str) -> None:
        """Take a line: do it now, or when the answer under way is over."""
        if not text.strip():
            return
        self.queue.append(text)
        self._news.set()
        if not (self.chat and self.chat.busy):
            self._echo(text)
        self.redraw()

    def interrupt(self) -> None:
        """Ctrl-C: stop the answer; else clear the line; twice, leave."""
        now = time.monotonic()
        again = now - self._interrupted < _TWICE
        self._interrupted = now
        if self.chat and self.chat.stop():
            if self.queue:
                self.queue.clear()
                self.note("what was queued is dropped")
        elif self.buffer.text:
            self.buffer.reset()
        elif again:
            self.leave(0)
        else:
            self.note("Ctrl-C again leaves")

    def toggle_reasoning(self) -> None:
        """Show or hide reasoning from now on."""
        if self.view:
            self.view.show_reasoning = not self.view.show_reasoning
            self.note(f"reasoning is {'shown' if self.view.show_reasoning else 'folded'}")

    def _typed(self, _buffer: Any) -> None:
        self._last_key = time.monotonic()
        if (
            self.chat
            and not self.chat.busy
            and not any(task.get_name() == "count" for task in self._tasks)
        ):
            task = asyncio.create_task(self._count(), name="count")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _count(self) -> None:
        """Once the user pauses, count what sending the draft would cost; warm the cache."""
        left = _PAUSE
        while left > 0:
            await asyncio.sleep(left)
            left = self._last_key + _PAUSE - time.monotonic()
        if not self._warmed and self.chat:
            self._warmed = True
            await self.chat.warm()
        await self._refresh()

    async def _refresh(self) -> None:
        if self.chat:
            with suppress(ConnectionError):
                await self.chat.estimate(self.buffer.text)
            self.changed()

    # -- Screen ----------------------------------------------------------------------------

    def columns(self) -> int:
        """Return the terminal's width."""
        return self.output.get_size().columns

    def note(self, text: str) -> None:
        """Write what the program says, dimmed."""
        self.above(self._styled("2", text) + "\n")

    def error(self, error: Exception) -> None:
        """Write an error, its fix below it."""
        from palaver.terminal.escape import visible

        first, _, rest = visible(str(error)).partition("\n")
        self.above(self._styled("31", f"error: {first}") + (f"\n{rest}" if rest else "") + "\n")

    def page(self, text: str) -> None:
        """Write a longer text."""
        self.above(text.rstrip("\n") + "\n")

    def begin(self, what: str) -> None:
        """Show that an answer begins."""
        self._warmed = False
        if self.view:
            self.view.begin(what)
        self.redraw()

    def show(self, events: Sequence[Event]) -> None:
        """Write what of the answer is final, redraw what is not."""
        if self.view:
            rows = self.view.feed(events)
            if rows:
                self.above("\n".join(rows) + "\n")
            else:
                self.redraw()

    def end(self, row: Row | None) -> None:
        """Write the answer's last lines and its figures."""
        from palaver.terminal.lines import after_answer

        if self.view:
            rows = [*self.view.finish(), self._styled("2", after_answer(row)), ""]
            self.above("\n".join(rows) + "\n")
        if self.queue:
            self._echo(self.queue[0])

    def said(self, text: str, *, again: bool) -> None:
        """Show what is asked again."""
        self._echo(text)

    def offer(self, text: str) -> None:
        """Put text into the input line."""
        self.buffer.text = text
        self.buffer.cursor_position = len(text)
        self.redraw()

    def changed(self) -> None:
        """Write the status line anew."""
        from palaver.terminal.status import status_line

        if self.chat:
            self._status = status_line(self.chat)
        self.redraw()

    async def edit(self, text: str) -> str | None:
        """Let the user change a text in their editor."""
        from prompt_toolkit.application import run_in_terminal

        from palaver.terminal.editor import edit_text

        edited: str | None = await run_in_terminal(
            lambda: edit_text(text, environment.editor()), in_executor=True
        )
        return edited

    def clear(self) -> None:
        """Clear the screen; the scrollback stays."""
        self.application.renderer.clear()

    # -- painting --------------------------------------------------------------------------

    def above(self, text: str) -> None:
        """Write text above the input line, into the scrollback."""
        if self._gone:
            return
        app, output = self.application, self.output
        drawn = app.is_running and not app.is_done
        try:
            if drawn:
                app.renderer.erase(leave_alternate_screen=False)
            output.write_raw(text.replace("\n", "\r\n"))
            output.flush()
            if drawn:
                app._redraw()
        except OSError:
            self._gone = True
            self.leave(128 + signal.SIGHUP)

    def redraw(self) -> None:
        """Draw the input line, what is above and below it, anew."""
        self.application.invalidate()

    def _echo(self, text: str) -> None:
        from palaver.terminal.escape import visible

        first, *rest = visible(text).split("\n")
        indent = " " * len(PROMPT)
        lines = [self._styled("1", PROMPT) + first, *(indent + line for line in rest)]
        self.above("\n".join(lines) + "\n")

    def _header(self) -> None:
        from palaver.terminal.status import header

        self.above(self._styled("2", header(self.settings, self._flags)) + "\n")

    def _tail(self) -> AnyFormattedText:
        if not (self.view and self.chat and self.chat.busy):
            return ""
        rows = [*self.view.tail()]
        rows += [f"queued: {line.strip().splitlines()[0][:60]}" for line in self.queue]
        return ANSI("\n".join(rows)) if rows else ""

    def _styled(self, code: str, text: str) -> str:
        if not self.color:
            return text
        return "\n".join(f"\x1b[{code}m{line}\x1b[0m" for line in text.split("\n"))

"""The chat in a full terminal: inline in the scrollback, the input line always usable.

Imports prompt_toolkit alone; everything else is loaded after the prompt was drawn.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prompt_toolkit.history import ThreadedHistory

from palaver.config import environment, paths
from palaver.config.settings import Settings
from palaver.terminal.canvas import Canvas
from palaver.terminal.counting import Counting
from palaver.terminal.history import PrivateHistory
from palaver.terminal.keys import bindings
from palaver.terminal.layout import MENU, PROMPT, STATUS, make_application
from palaver.terminal.stage import Stage

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller
    from palaver.terminal.unsent import Unsent

_TWICE = 2.0  # seconds within which a second Ctrl-C leaves
_WATCH = 1.0  # seconds between two looks whether the engine lives
_GRACE = 10.0  # seconds that an answer which was stopped may take to be written down


def run_app(settings: Settings, flags: dict[str, Any], waiting: Any) -> int:
    """Run the chat until the user leaves; returns the exit code."""
    return asyncio.run(App(settings, flags, waiting).main())


@dataclass
class Line:
    """What was typed; `shown` as said, because nothing else was under way, and not as queued."""

    text: str
    shown: bool


class App:
    """The life of a chat: keys come in, lines are worked off one after the other."""

    def __init__(self, settings: Settings, flags: dict[str, Any], waiting: Any) -> None:
        self.settings = settings
        self.chat: Controller | None = None
        self.queue: list[Line] = []
        self._unsent: Unsent | None = None
        self._dropped = 0  # lines typed ahead that will not be sent
        self._flags = flags
        self._waiting = waiting
        self._news = asyncio.Event()
        self._job: asyncio.Task[None] | None = None
        self._interrupted = -_TWICE
        self.counting = Counting(self)
        self._exit_code = 0
        self.left = False  # the user left, or the terminal was closed
        self._asked: asyncio.Future[str] | None = None  # the line that answers a question
        self._failure: BaseException | None = None
        self.canvas = Canvas(self._hung_up)
        color = environment.color_wanted()
        self.stage = Stage(self, self.canvas, settings, flags, color=color)
        self.application, self.buffer = make_application(
            self.stage.below,
            self.stage.status,
            bindings(self),
            ThreadedHistory(PrivateHistory(paths.state_dir() / "history")),
            self.canvas.output,
            vi=settings.editing == "vi",
            color=color,
        )
        self.canvas.attach(self.application)
        self.buffer.on_text_changed += lambda _buffer: self._typed()

    # -- the life of the program -----------------------------------------------------------

    async def main(self) -> int:
        """Draw the prompt, open the chat behind it, work until the user leaves."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self._fault(context))
        for name in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, self.leave, 128 + name)
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        worker = asyncio.create_task(self._work())
        try:
            await self.application.run_async(handle_sigint=False, set_exception_handler=False)
        except (EOFError, OSError):
            self.canvas.hang_up()  # what was said is on disk all the same
        finally:
            self.left = True
            loop.add_signal_handler(signal.SIGINT, self._hurry)
            await self._end(worker)
        if self._failure:
            raise self._failure
        return self._exit_code

    def leave(self, code: int = 0) -> None:
        """Leave the chat; what is under way is kept."""
        if not self.left:
            self._exit_code = code
        self.left = True
        self._news.set()
        self.stage.take_back()
        if self.application.is_running and not self.application.is_done:
            self.application.exit()

    async def _end(self, worker: asyncio.Task[None]) -> None:
        """Stop what is under way, wait for it, close everything."""
        self._news.set()
        if self.chat:
            self.chat.stop()
        if self._job:
            _, late = await asyncio.wait([self._job], timeout=_GRACE if self.busy else 0.5)
            if late:
                self._job.cancel()
        if self.chat is None:
            worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
        self._dropped += len(self.queue)
        self._tell_dropped()
        if not self._failure:  # else the next start says what was not sent
            self.unsent.close()

    def _tell_dropped(self) -> None:
        if self._dropped:
            self.stage.note(f"not sent, but in the history: {self._dropped} typed ahead")
            self._dropped = 0

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return bool(self.chat and self.chat.busy)

    def _hurry(self) -> None:
        """A Ctrl-C while leaving: don't wait for what is only saved to be faster next time."""
        if self.chat:
            self.chat.loading.hurry()

    def _hung_up(self) -> None:
        self.leave(128 + signal.SIGHUP)

    def _fault(self, context: dict[str, Any]) -> None:
        """Take what nobody waits for: a failure to tell of, a closed terminal, our own fault."""
        from palaver.core.errors import PalaverError

        error = context.get("exception")
        if isinstance(error, PalaverError):
            self.stage.error(error)  # the turn that meets it again says what became of it
        elif isinstance(error, OSError) and error.errno in (errno.EIO, errno.EBADF):
            self.canvas.hang_up()
        elif error is not None:
            self._failure = self._failure or error
            self.leave(1)

    async def _work(self) -> None:
        """Open the chat, then do what was typed, one line after the other."""
        await self._drawn()
        # On other threads, because this one echoes keys: half a second on a busy machine.
        await asyncio.to_thread(importlib.import_module, "palaver.launch")
        from palaver import launch

        begun = asyncio.to_thread(launch.start, self.settings, self._waiting)
        starting = asyncio.create_task(begun)  # what it raises is met where the model is awaited
        await asyncio.wait([starting])
        await asyncio.to_thread(importlib.import_module, "palaver.terminal.controller")
        await asyncio.to_thread(importlib.import_module, "palaver.terminal.answer")
        from palaver.core.errors import PalaverError
        from palaver.terminal.controller import Controller

        self.stage.load()
        self.chat = chat = Controller(self.settings, self._flags, self.stage)
        watch = asyncio.create_task(self._watch(chat))
        try:
            await chat.open(starting)
            self._complete_with(chat)
            self._tell_unsent()
            self.counting.now()
            await self._work_off(chat)
        except PalaverError as error:
            self.stage.error(error)
            self.leave(error.exit_code)
        except Exception as error:  # noqa: BLE001 - raised again by `main`, below the prompt
            self._failure = error
            self.leave(1)
        finally:
            watch.cancel()
            self.counting.end()
            await chat.close()

    async def _work_off(self, chat: Controller) -> None:
        from palaver.terminal.command import Leave
        from palaver.terminal.lines import handle

        while not self.left:
            if not self.queue:
                self._news.clear()
                await self._news.wait()
                continue
            line = self.queue.pop(0)
            self.stage.accept(line.text)
            self._job = asyncio.create_task(handle(chat, line.text))
            try:
                await self._job
            except Leave:
                self.stage.commit()  # while what is drawn can still be erased
                self.leave()
            except asyncio.CancelledError:
                if not self.left:
                    raise
            finally:
                self._job = None
                self.stage.commit()
                self._tell_dropped()
            self.counting.turn_over()

    @property
    def unsent(self) -> Unsent:
        """The lines that were sent and are not stored yet."""
        if self._unsent is None:
            from palaver.terminal.unsent import Unsent

            self._unsent = Unsent(None if self._flags.get("no_save") else paths.state_dir())
        return self._unsent

    def _tell_unsent(self) -> None:
        """Give back what was sent and not stored when an earlier chat was killed."""
        from palaver.terminal.escape import visible
        from palaver.terminal.unsent import left

        lines = left(paths.state_dir())
        for text in lines:
            self.stage.note(f"sent and not stored when palaver was killed: {visible(text)}")
        if lines and not self.buffer.text and not self.queue:
            self.offer(lines[0])

    async def _watch(self, chat: Controller) -> None:
        while not self.left:
            await asyncio.sleep(_WATCH)
            chat.upkeep.mind()

    async def _drawn(self) -> None:
        """Wait until the prompt is on the screen: nothing may delay it."""
        drawn = asyncio.Event()

        def seen(_app: object) -> None:
            drawn.set()

        if self.application.render_counter == 0:
            self.application.after_render += seen
            await drawn.wait()
            self.application.after_render -= seen

    def _complete_with(self, chat: Controller) -> None:
        from palaver.terminal.completion import ChatCompleter

        self.buffer.completer = ChatCompleter(chat)

    def _typed(self) -> None:
        if self.buffer.text:
            self._interrupted = -_TWICE  # a Ctrl-C before this is none that begins to leave
        self.counting.typed()

    # -- keys ------------------------------------------------------------------------------

    def submit(self, text: str) -> None:
        """Take a line: do it now, or when what is under way is over."""
        if not text.strip():
            return
        if self._asked and not self._asked.done():
            self._asked.set_result(text)
            return
        self.unsent.hold(text)  # before anything shows it as sent
        free = self._job is None and not self.queue
        self.queue.append(Line(text, shown=free))
        self._news.set()
        self.stage.redraw()

    async def answer_line(self) -> str:
        """Wait for a line that answers a question; what stood in the input line comes back."""
        draft, self.buffer.text = self.buffer.text, ""
        self._asked = asyncio.get_running_loop().create_future()
        self.stage.redraw()
        try:
            return await self._asked
        finally:
            self._asked = None
            if draft and not self.buffer.text:
                self.offer(draft)

    def interrupt(self) -> None:
        """Ctrl-C: stop the answer; else clear the line; twice, leave."""
        now = time.monotonic()
        again = now - self._interrupted < _TWICE
        if self.chat and self.chat.stop():
            self._dropped += len(self.queue)
            self.queue.clear()
            self.unsent.clear()
        elif again:
            self.leave(0)
        else:
            self._interrupted = now
            self.buffer.reset()
            self.stage.hint("Ctrl-C again leaves", _TWICE)

    def offer(self, text: str) -> None:
        """Put text into the input line; what stood there can be had back from the history."""
        if self.buffer.text.strip():
            self.buffer.append_to_history()
        self.buffer.reset()
        self.buffer.text = text
        self.buffer.cursor_position = len(text)
        self.stage.redraw()

    def room(self) -> int:
        """Return how many rows may stand above the input line."""
        columns = self.canvas.columns
        typed = sum(1 + (len(line) + len(PROMPT)) // columns for line in self.buffer.document.lines)
        needed = max(typed, MENU if self.buffer.complete_state else 1)
        return max(0, self.canvas.lines - needed - STATUS)

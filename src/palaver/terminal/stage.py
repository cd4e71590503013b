"""What the chat shows in a full terminal; implements `palaver.terminal.screen.Screen`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text

from palaver.config.settings import Settings
from palaver.terminal.canvas import Canvas
from palaver.terminal.layout import PROMPT

if TYPE_CHECKING:
    from palaver.chat.front import Answer, Question
    from palaver.core.events import Event
    from palaver.core.log import Row
    from palaver.terminal.app import App
    from palaver.terminal.view import AnswerView

_FRAME = 0.045  # seconds between two paints of an answer: what comes is seen within 50 ms


class Stage:
    """Turns what happens in the chat into lines above, and rows below that are redrawn."""

    def __init__(
        self, app: App, canvas: Canvas, settings: Settings, flags: dict[str, Any], *, color: bool
    ) -> None:
        from palaver.terminal.status import header

        self.color = color
        self._app, self._canvas, self._flags = app, canvas, flags
        self._settings = settings
        self._head = header(settings, flags)  # until it stands in the scrollback
        self._view: AnswerView | None = None
        self._answering = False
        self._accepted: str | None = None
        self._lent: asyncio.Task[object] | None = None  # what another program is waited for in
        self._painted = 0.0
        self._later: asyncio.TimerHandle | None = None  # the next paint
        self._clock: asyncio.TimerHandle | None = None  # the next second of waiting
        self._late_note = False
        self._counted: object = None  # what the count in the status line was asked for
        self._status = "starting"
        self._hint: str | None = None
        self._question: str | None = None  # what the status line says while one is asked
        self._drawn: tuple[tuple[str, ...], StyleAndTextTuples] = ((), [])

    def load(self) -> None:
        """Load what shows answers; called after the prompt was drawn."""
        from palaver.terminal.view import AnswerView

        self._view = AnswerView(
            lambda: self._canvas.columns, color=self.color, labelled=self._labelled
        )

    def _labelled(self) -> bool:
        """Whether what is said stands under names: where the model itself names channels."""
        model = self._app.chat.model if self._app.chat else None
        return model is not None and model.info.channels

    # -- Screen ----------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Write what the program says, dimmed."""
        self._write(self._dimmed(text))

    def advise(self, what: str, how: str) -> None:
        """Write where things stand, dimmed."""
        self.note(f"{what}: {how}")

    def error(self, error: Exception) -> None:
        """Write an error, its fix below it."""
        from palaver.terminal.escape import visible

        first, _, rest = visible(str(error)).partition("\n")
        head = self._styled("31", self._folded(f"error: {first}"))
        self._write(head + (f"\n{self._folded(rest)}" if rest else ""))

    def page(self, text: str) -> None:
        """Write a longer text."""
        from palaver.terminal.fold import folded_table

        self._write(folded_table(text.rstrip("\n"), self._columns()))

    def recap(self, text: str) -> None:
        """Write the end of the conversation that is gone on with."""
        self._write(self._dimmed(text))

    def begin(self, what: str) -> None:
        """Show that an answer begins."""
        self.commit()
        self._stop_timers()
        self._answering = True
        chat = self._app.chat
        if self._view:
            self._view.begin(what, chat.forecast.pace if chat else None)
        self._tick()

    def show(self, events: Sequence[Event]) -> None:
        """Take a frame of the answer; it is painted at once, or with the next paint."""
        if self._view:
            waited = self._view.waits
            self._view.feed(events)
            if waited and not self._view.waits:
                self._flush()  # the first word, though the bar was painted a moment ago
            else:
                self._soon()
            if self._clock is None and self._view.waits:
                self._tick()

    def end(self, row: Row | None) -> None:
        """Write the answer's last lines and its figures."""
        from palaver.terminal.lines import after_answer

        self._stop_timers()
        self._answering = False
        rows = self._view.finish() if self._view else []
        if figures := after_answer(row):
            rows += [self._dimmed(figures), ""]
        if rows:
            self._write("\n".join(rows))
        self.changed()

    def said(self, text: str) -> None:
        """Show what is asked again."""
        self.echo(text)

    def offer(self, text: str) -> None:
        """Put text into the input line."""
        self._app.offer(text)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[None]:
        """Take away what is drawn below the scrollback while another program has the terminal."""
        from prompt_toolkit.application.run_in_terminal import in_terminal

        self.commit()
        async with in_terminal():
            self._lent = asyncio.current_task()
            try:
                yield
            finally:
                self._lent = None

    def take_back(self) -> None:
        """End the program that the terminal was left to, if there is one."""
        if self._lent:
            self._lent.cancel()

    def typed(self) -> str | None:
        """Return the next line that was typed ahead, if there is one."""
        return self._app.queue[0].text if self._app.queue else None

    def sent(self) -> None:
        """Show a line typed ahead where it was said."""
        self._flush()
        self.echo(self._app.queue.pop(0).text)

    @property
    def asks(self) -> bool:
        """Somebody sits at a terminal."""
        return True

    async def ask(self, question: Question) -> Answer:
        """Write the question; the next lines that are typed answer it."""
        from palaver.terminal import consent
        from palaver.terminal.escape import visible

        self._flush()
        self._write(consent.put(question, self._canvas.columns, color=self.color))
        self._question = f"{visible(question.call.name, newlines=False)} waits for your answer"
        try:
            while True:
                line = await self._app.answer_line()
                if answer := consent.read(line, question):
                    self.echo(line)
                    return answer
                self.hint(consent.unread(question), 4.0)
        finally:
            self._question = self._hint = None

    def changed(self) -> None:
        """Write the header if it can be told now, and the status line."""
        from palaver.terminal.status import status_line, template_note

        chat = self._app.chat
        if chat is None:
            return
        if chat.model and self._head:
            self._commit_head()
        elif chat.model and self._late_note:
            self._late_note = False
            if note := template_note(chat.model):
                self.note(note.removeprefix(", "))
        counted = (chat.model, chat.forecast.forgotten)
        if counted != self._counted and not chat.busy:
            self._counted = counted
            self._app.counting.now()
        self._status = status_line(chat)
        self.redraw()

    # -- more of the program's own ---------------------------------------------------------

    def accept(self, text: str) -> None:
        """Take what is about to be done; it stands in the scrollback once it is on disk.

        That is when an answer begins, or when anything is written because of it.
        """
        self._accepted = text
        self.redraw()

    def commit(self) -> None:
        """Write what was accepted, if it was not written yet."""
        text, self._accepted = self._accepted, None
        if text is not None:
            self._app.unsent.stored()
            self.echo(text)

    def echo(self, text: str) -> None:
        """Write what the user said."""
        from palaver.terminal.escape import visible

        style, label = ("31", "User: ") if self._labelled() else ("1", PROMPT)
        said = self._folded(visible(text.strip("\n")), label, " " * len(label))
        self._write(self._styled(style, label) + said.removeprefix(label))

    def hint(self, text: str, seconds: float) -> None:
        """Show something in place of the status line for a while."""
        self._hint = text
        self.redraw()

        def over() -> None:
            if self._hint == text:
                self._hint = None
                self.redraw()

        asyncio.get_running_loop().call_later(seconds, over)

    def toggle_reasoning(self) -> None:
        """Show or fold reasoning; shown, the last answer's stands in the scrollback."""
        if self._view is None:
            return
        rows = self._view.toggle_reasoning()
        if rows:
            self._write("\n".join(rows))
        self.hint(f"reasoning is {'shown' if self._view.show_reasoning else 'folded'}", 2.0)

    # -- painting --------------------------------------------------------------------------

    def redraw(self) -> None:
        """Draw what is below the scrollback anew."""
        self._app.application.invalidate()

    def status(self) -> str:
        """Return the status line."""
        return self._folded(self._hint or self._question or self._status)

    def below(self) -> StyleAndTextTuples:
        """Return the rows between the scrollback and the input line."""
        rows = tuple(self._rows())
        if rows != self._drawn[0]:
            self._drawn = rows, list(to_formatted_text(ANSI("\n".join(rows)))) if rows else []
        return self._drawn[1]

    def _rows(self) -> list[str]:
        rows = self._dimmed(self._head).split("\n") if self._head else []
        if self._answering and self._view:
            rows += self._view.tail()
        if self._accepted is not None:
            rows.append(self._short(PROMPT + self._accepted))
        for queued in self._app.queue:
            label = PROMPT if queued.shown else "queued: "
            rows.append(self._short(label + queued.text))
        room = self._app.room()
        return rows[-room:] if room else []

    def _write(self, text: str) -> None:
        self._commit_head()
        self.commit()
        self._canvas.write(text + "\n")

    def _commit_head(self) -> None:
        if self._head:
            from palaver.terminal.status import header

            chat, self._head = self._app.chat, ""
            self._late_note = not (chat and chat.model)
            head = header(self._settings, self._flags, chat)
            self._canvas.write(self._dimmed(head) + "\n")

    def _flush(self) -> None:
        """Paint what was shown, now."""
        if self._later:
            self._later.cancel()
        self._paint()

    def _soon(self) -> None:
        """Paint now if the last time is long enough ago, else when it is."""
        due = self._painted + _FRAME - time.monotonic()
        if self._later is not None:
            return
        if due <= 0:
            self._paint()
        else:
            self._later = asyncio.get_running_loop().call_later(due, self._paint)

    def _paint(self) -> None:
        self._later = None
        self._painted = time.monotonic()
        rows = self._view.paint() if self._view else []
        if rows:
            self._write("\n".join(rows))
        else:
            self.redraw()

    def _tick(self) -> None:
        """Keep the seconds going while something is waited for."""
        self.redraw()
        self._clock = None
        if self._answering and self._view and self._view.waits:
            self._clock = asyncio.get_running_loop().call_later(1.0, self._tick)

    def _stop_timers(self) -> None:
        for timer in (self._later, self._clock):
            if timer:
                timer.cancel()
        self._later = self._clock = None

    def _short(self, text: str) -> str:
        from palaver.terminal.fold import beginning

        return self._styled("2", beginning(text, self._columns()))

    def _dimmed(self, text: str) -> str:
        return self._styled("2", self._folded(text))

    def _folded(self, text: str, first: str = "", rest: str = "") -> str:
        columns = self._columns()
        if not first and text.isascii() and all(len(x) <= columns for x in text.split("\n")):
            return text  # as the header mostly: before the prompt is drawn, nothing is loaded
        from palaver.terminal.fold import folded

        return folded(text, columns, first, rest)

    def _columns(self) -> int:
        return max(2, self._canvas.columns - 1)

    def _styled(self, code: str, text: str) -> str:
        if not self.color:
            return text
        return "\n".join(f"\x1b[{code}m{line}\x1b[0m" for line in text.split("\n"))

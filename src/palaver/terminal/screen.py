"""What a front end can show; the chat behind it knows no more of a terminal than this."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from palaver.chat.front import Answer, Question
    from palaver.core.events import Event
    from palaver.core.log import Row


class Screen(Protocol):
    """How a front end shows things. All texts but `events` are the program's own, escaped."""

    def note(self, text: str) -> None:
        """Show what the program has to say."""

    def advise(self, what: str, how: str) -> None:
        """Show where things stand, and which commands go on from there."""

    def error(self, error: Exception) -> None:
        """Show what went wrong and what to do."""

    def page(self, text: str) -> None:
        """Show a longer text."""

    def begin(self, what: str) -> None:
        """An answer begins; `what` is shown until its first token."""

    def show(self, events: Sequence[Event]) -> None:
        """Show a frame of the answer under way."""

    def end(self, row: Row | None) -> None:
        """The answer is over; `row` is what was stored of it."""

    def said(self, text: str) -> None:
        """Show what the user said earlier, as it is asked again."""

    def recap(self, text: str) -> None:
        """Show how a session ended that is gone on with."""

    def offer(self, text: str) -> None:
        """Put text into the input line, to be changed and sent."""

    def lend(self) -> AbstractAsyncContextManager[None]:
        """Leave the terminal to another program. Raises UserError where there is none."""

    def typed(self) -> str | None:
        """Return the next line that was typed ahead, if there is one."""

    def sent(self) -> None:
        """The line typed ahead was said, within the turn that is under way."""

    @property
    def asks(self) -> bool:
        """Whether there is somebody who can be asked."""

    async def ask(self, question: Question) -> Answer:
        """Ask whether a call may run; what can't ask says no."""

    def changed(self) -> None:
        """Model, session or cost changed: header and status line may be out of date."""

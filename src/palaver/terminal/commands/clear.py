"""Begin anew with the same system prompt."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Leave the branch that was talked on; it stays in the session."""
    await chat.settle()
    await chat.capture()
    await chat.conversation.clear()
    chat.screen.changed()
    chat.screen.note("begun anew; what was said is kept as a branch")


COMMAND = Command(
    "/clear", "Begin anew, with the same system prompt; /redo brings back what was said.", run
)

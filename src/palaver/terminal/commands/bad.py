"""Mark the last answer as bad."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Rate the newest answer."""
    await chat.conversation.mark(chat.conversation.last_answer(), "bad", argument)
    chat.screen.note("marked as bad")


COMMAND = Command("/bad [why]", "Mark the last answer as bad.", run)

"""Mark the last answer as good."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Rate the newest answer."""
    await chat.conversation.mark(chat.conversation.last_answer(), "good", argument)
    chat.screen.note("marked as good")


COMMAND = Command("/good [why]", "Mark the last answer as good, for --good-only captures.", run)

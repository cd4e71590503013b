"""Attach a note to the last answer."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Keep a note beside the newest answer."""
    if not argument:
        raise UserError("say what to note: /note text")
    await chat.conversation.mark(chat.conversation.last_answer(), "note", argument)
    chat.screen.note("noted")


COMMAND = Command("/note text", "Attach a note to the last answer; the model never sees it.", run)

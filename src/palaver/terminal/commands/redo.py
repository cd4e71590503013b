"""Bring back what was undone."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Go back to where the newest undo left from."""
    await chat.settle()
    if not await chat.conversation.redo():
        raise UserError("there is nothing to redo")
    chat.screen.changed()
    chat.screen.note("back again")


COMMAND = Command("/redo", "Bring back what /undo, /clear or /edit left.", run)

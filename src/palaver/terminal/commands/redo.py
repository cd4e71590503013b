"""Bring back what was undone."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible
from palaver.tools import undo


async def run(chat: Controller, argument: str) -> None:
    """Go back to where the newest undo left from."""
    await chat.settle()
    known = {row.id for row in chat.conversation.rows}
    if not await chat.conversation.redo():
        raise UserError("there is nothing to redo")
    chat.screen.changed()
    for line in await undo.redo([row for row in chat.conversation.rows if row.id not in known]):
        chat.screen.note(visible(line, newlines=False))
    chat.screen.note("back again")


COMMAND = Command("/redo", "Bring back what /undo, /clear or /edit left.", run)

"""Take the newest turns back."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible
from palaver.terminal.words import plural, whole_number
from palaver.tools import undo


async def run(chat: Controller, argument: str) -> None:
    """Step back before the newest turns; they stay in the session."""
    count = whole_number(argument or "1", "/undo [n]")
    await chat.settle()
    before = list(chat.conversation.rows)
    done = await chat.conversation.undo(count)
    if not done:
        raise UserError("there is nothing to undo")
    chat.screen.changed()
    for line in undo.undo(before[len(chat.conversation.rows) :]):
        chat.screen.note(visible(line, newlines=False))
    chat.screen.note(
        f"{plural(done, 'turn')} undone; /redo brings {'it' if done == 1 else 'them'} back"
    )


COMMAND = Command("/undo [n]", "Take back the newest turn, or the newest n.", run)

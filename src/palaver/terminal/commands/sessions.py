"""List the sessions."""

from __future__ import annotations

from palaver.sessions.store import Store
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.sessions import row
from palaver.terminal.words import whole_number


async def run(chat: Controller, argument: str) -> None:
    """List sessions with number, age, length and title."""
    count = whole_number(argument or "20", "/sessions [n]")
    found = await chat.conversation.store.run(Store.list_sessions, count)
    current = chat.conversation.session
    chat.screen.page("\n".join(row(s, current) for s in found) or "no sessions yet")


COMMAND = Command("/sessions [n]", "List the newest sessions (20), newest first.", run)

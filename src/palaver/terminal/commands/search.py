"""Search everything that was ever said."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.sessions.store import Store
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.sessions import hit_line


async def run(chat: Controller, argument: str) -> None:
    """Search the full text of all sessions."""
    if not argument:
        raise UserError("say what to look for: /search words")
    hits = await chat.conversation.store.run(Store.search, argument)
    chat.screen.page("\n".join(hit_line(hit) for hit in hits) or "nothing found")


COMMAND = Command("/search words", "Find messages that hold all the words, in all sessions.", run)

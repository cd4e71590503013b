"""Name the session."""

from __future__ import annotations

from palaver.sessions.store import Store
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible


async def run(chat: Controller, argument: str) -> None:
    """Set the title that lists show."""
    conversation = chat.conversation
    if argument:
        await conversation.store.run(Store.set_title, conversation.session, argument)
    known = await conversation.store.run(Store.session, conversation.session)
    chat.screen.note(visible(f"session {known.id}: {known.title or 'no title'}", newlines=False))


COMMAND = Command("/title [text]", "Name this session, or show its name.", run)

"""Go on in a new session from here."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Share what was said so far with a new session and go on in that."""
    before = chat.conversation.session
    await chat.switch(await chat.conversation.fork())
    chat.screen.note(f"session {chat.conversation.session}, forked from {before}")


COMMAND = Command("/fork", "Begin a new session that goes on from here; this one stays.", run)

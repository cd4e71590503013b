"""Ask for another answer."""

from __future__ import annotations

from palaver.core.messages import Message
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Stand at the newest user message and answer it anew, as a branch."""
    await chat.settle()
    row = await chat.conversation.at_last_turn()
    text = row.entry.text if isinstance(row.entry, Message) else ""
    chat.screen.said(text)
    await chat.answer()


COMMAND = Command("/retry", "Answer the last message again; the earlier answer is kept.", run)

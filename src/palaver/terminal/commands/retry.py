"""Ask for another answer."""

from __future__ import annotations

from palaver.core.messages import Message
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible


async def run(chat: Controller, argument: str) -> None:
    """Stand at the newest user message and answer it anew, as a branch."""
    row = chat.conversation.last_turn()
    await chat.settle()
    if chat.conversation.rows[-1].id != row.id:
        await chat.conversation.go_to(row.id)
    text = row.entry.text if isinstance(row.entry, Message) else ""
    chat.screen.said(visible(text), again=True)
    await chat.answer()


COMMAND = Command("/retry", "Answer the last message again; the earlier answer is kept.", run)

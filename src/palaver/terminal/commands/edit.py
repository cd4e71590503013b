"""Say the last message in other words."""

from __future__ import annotations

from palaver.core.messages import Message
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Go back before the newest user message; send `argument`, or offer its text for changing."""
    row = chat.conversation.last_turn()
    # The last part is what they said; before it may stand what their commands printed.
    text = Message("user", row.entry.parts[-1:]).text if isinstance(row.entry, Message) else ""
    await chat.settle()
    await chat.conversation.before_last_turn()
    chat.screen.changed()
    if argument:
        await chat.say(argument)
    else:
        chat.screen.note("change it and send it; /redo leaves it as it was")
        chat.screen.offer(text)


COMMAND = Command(
    "/edit [text]", "Change the last message and send it again; the earlier one is kept.", run
)

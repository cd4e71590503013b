"""Set or show the system prompt."""

from __future__ import annotations

from typing import TypeGuard

from palaver.core.messages import Message
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible


def _is_system(entry: object) -> TypeGuard[Message]:
    return isinstance(entry, Message) and entry.role == "system"


async def run(chat: Controller, argument: str) -> None:
    """Add a system message to the log; the newest one counts."""
    now = next((r.entry for r in chat.conversation.view if _is_system(r.entry)), None)
    if not argument:
        chat.screen.page(visible(now.text) if now else "there is no system prompt")
        return
    await chat.settle()
    await chat.conversation.set_system("" if argument == "-" else argument)
    chat.screen.changed()
    said = (
        "no system prompt" if argument == "-" else f"system prompt set ({len(argument)} characters)"
    )
    chat.screen.note(said)


COMMAND = Command(
    "/system [text]", "Set the system prompt from here on (- for none), or show it.", run
)

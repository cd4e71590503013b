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
    """Add a system message to the log: the newest one counts, and stands first for the model.

    Not where it was given: many templates take a system message at the beginning alone.
    """
    now = next((r.entry for r in chat.conversation.view if _is_system(r.entry)), None)
    if not argument:
        chat.screen.page(visible(now.text) if now else "there is no system prompt")
        return
    await chat.settle()
    await chat.conversation.set_system("" if argument == "-" else argument)
    chat.screen.changed()
    said = f"system prompt set ({len(argument)} characters)"
    if argument == "-":
        said = "no system prompt"
    if chat.conversation.turns:
        said += ", as if from the beginning: what was said is read again"
    chat.screen.note(said)


COMMAND = Command(
    "/system [text]",
    "Set the system prompt (- for none), or show it; what was said stays, below it.",
    run,
)

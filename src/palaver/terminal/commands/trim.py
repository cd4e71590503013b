"""Drop the oldest turns from what the model sees."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.words import plural, whole_number


async def run(chat: Controller, argument: str) -> None:
    """Whole turns, oldest first; undone by /undo."""
    count = whole_number(argument or "1", "/trim [n]")
    await chat.settle()
    dropped = await chat.conversation.trim(count)
    chat.screen.changed()
    chat.screen.note(
        f"{plural(count, 'turn')} ({plural(dropped, 'message')}) no longer in the context"
    )


COMMAND = Command(
    "/trim [n]",
    "Hide the oldest turn, or the oldest n, from the model; they stay in the session.",
    run,
)

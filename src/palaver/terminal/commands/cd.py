"""Move the chat to another folder."""

from __future__ import annotations

from palaver.terminal import own
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Let the tools and the user's commands work in another folder; without one, where they are.

    What the session allowed holds for the folder it was allowed in.
    """
    await chat.settle()
    if argument:
        own.go(chat, argument)
    if chat.tooling.folder != chat.tooling.root:
        await chat.tooling.move(chat.tooling.folder)
        chat.screen.changed()
    for row in chat.tooling.limits():
        chat.screen.note(row)


COMMAND = Command(
    "/cd [folder]", "Let tools and your commands work in another folder.", run, "path"
)

"""Run a command of one's own."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal import own
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible


async def run(chat: Controller, argument: str) -> None:
    """Run a line in the user's shell; with a `!` before it the model is told nothing of it."""
    private = argument.startswith("!")
    line = argument.removeprefix("!").strip()
    if not line:
        raise UserError("say what to run: !command, or !!command to keep it to yourself")
    if (place := own.moves_to(line)) is not None:
        folder = own.go(chat, place)
        root = chat.tooling.root
        rest = "" if folder == root else f"; tools still work in {root}, /cd moves them"
        chat.screen.note(visible(f"{folder}{rest}", newlines=False))
        return
    await own.run(chat, line, private=private)


COMMAND = Command(
    "/exec command, or !command",
    "Run a command; what it prints goes with your next message (not so with !!command).",
    run,
    "path",
)

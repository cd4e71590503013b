"""Write the conversation as a training record now."""

from __future__ import annotations

from pathlib import Path

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Append the session's records to the file named, else to --output."""
    path = Path(argument).expanduser() if argument else None
    if path is None and not chat.settings.output:
        raise UserError("say which file: /save FILE", fix="or start with --output FILE")
    chat.screen.note(await chat.capture(path) or "nothing to save yet")


COMMAND = Command(
    "/save [file]", "Append what was said to FILE (or --output) as a training record.", run, "path"
)

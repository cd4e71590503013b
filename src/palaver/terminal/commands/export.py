"""Write the conversation to a file."""

from __future__ import annotations

from pathlib import Path

from palaver.core.errors import UserError
from palaver.sessions import export
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible


async def run(chat: Controller, argument: str) -> None:
    """Write what stands on the path; refuses to overwrite."""
    if not argument:
        raise UserError("say where to: /export FILE.md (or .json, .jsonl)")
    path = Path(argument).expanduser()
    writers = {".md": export.export_markdown, ".json": export.export_json}
    writer = writers.get(path.suffix, export.export_jsonl)
    text = await chat.conversation.store.run(writer, chat.conversation.session)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from None
    chat.screen.note(f"written to {visible(str(path), newlines=False)}")


COMMAND = Command(
    "/export file",
    "Write this conversation to a file: .md, .json or .jsonl by its ending.",
    run,
    "path",
)

"""Write the conversation to a file."""

from __future__ import annotations

from pathlib import Path

from palaver.core.errors import UserError
from palaver.sessions import export
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible

_WRITERS = {
    ".md": export.export_markdown,
    ".json": export.export_json,
    ".jsonl": export.export_jsonl,
}


async def run(chat: Controller, argument: str) -> None:
    """Write what stands on the path; refuses to overwrite."""
    if not argument:
        raise UserError("say where to: /export FILE.md (or .json, .jsonl)")
    path = Path(argument).expanduser()
    if path.suffix not in _WRITERS:
        raise UserError(f"/export writes {', '.join(_WRITERS)}, not {path.suffix or path.name!r}")
    text = await chat.conversation.store.run(_WRITERS[path.suffix], chat.conversation.session)
    export.write_new(path, text)
    chat.screen.note(f"written to {visible(str(path), newlines=False)}")


COMMAND = Command(
    "/export file",
    "Write this conversation to a file: .md, .json or .jsonl by its ending.",
    run,
    "path",
)

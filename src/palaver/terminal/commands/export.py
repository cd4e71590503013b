"""Write the conversation to a file."""

from __future__ import annotations

import os
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


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogatepass"))


async def run(chat: Controller, argument: str) -> None:
    """Write what stands on the path; refuses to overwrite."""
    if not argument:
        raise UserError("say where to: /export FILE.md (or .json, .jsonl)")
    path = Path(argument).expanduser()
    if path.suffix not in _WRITERS:
        raise UserError(f"/export writes {', '.join(_WRITERS)}, not {path.suffix or path.name!r}")
    text = await chat.conversation.store.run(_WRITERS[path.suffix], chat.conversation.session)
    try:
        _write(path, text)
    except FileExistsError:
        raise UserError(f"{path} is there already", fix="name another file") from None
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from None
    chat.screen.note(f"written to {visible(str(path), newlines=False)}")


COMMAND = Command(
    "/export file",
    "Write this conversation to a file: .md, .json or .jsonl by its ending.",
    run,
    "path",
)

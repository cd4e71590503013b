"""Changing a text in the user's own editor."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

from palaver.core.errors import UserError


def edit_text(text: str, editor: str) -> str | None:
    """Open `text` in `editor` (a command line); return what was saved, None where it failed.

    The file is private (0600) and removed afterwards. Raises UserError where there is no editor.
    """
    with tempfile.TemporaryDirectory(prefix="palaver-") as folder:
        path = Path(folder) / "message.md"
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)
        except OSError as error:
            raise UserError(
                f"the editor {editor!r} can't be started: {error.strerror}",
                fix="set EDITOR to one that is installed",
            ) from None
        return path.read_text(encoding="utf-8") if done.returncode == 0 else None

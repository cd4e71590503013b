"""What was typed before, kept over runs in a file that others can't read."""

from __future__ import annotations

import os
from pathlib import Path

from prompt_toolkit.history import FileHistory


class PrivateHistory(FileHistory):
    """FileHistory with mode 0600; a disk that is full or read-only loses history, not the chat."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError:
            return

    def store_string(self, string: str) -> None:
        """Add a line."""
        try:
            super().store_string(string)
        except OSError:
            return

    def load_history_strings(self) -> list[str]:
        """Return all lines, the newest first."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

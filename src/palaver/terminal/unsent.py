"""Lines that were sent and are not in the store yet, in a file: those of a killed chat come back.

Each chat has a file of its own, locked as long as it lives, a JSON record a line: a text that was
sent, or null where the oldest one was stored. Written before the line is shown as sent, without a
sync: it withstands a kill, not a power cut.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_NAME = "unsent-"


class Unsent:
    """The lines of this chat. A disk that is full or read-only loses them, not the chat."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` None keeps nothing."""
        self._folder = folder
        self._path: Path | None = None
        self._file = -1
        self._count = 0

    def hold(self, text: str) -> None:
        """Keep a line."""
        self._count += 1
        self._write(text)

    def stored(self) -> None:
        """Drop the oldest line: the store has it."""
        self._count = max(0, self._count - 1)
        if self._count:
            self._write(None)
        else:
            self.clear()

    def clear(self) -> None:
        """Drop all lines."""
        self._count = 0
        if self._file >= 0:
            with suppress(OSError):
                os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Remove the file; safe to call twice."""
        if self._path:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
        self._folder = self._path = None
        self._file = -1

    def _write(self, record: str | None) -> None:
        if self._folder is None:
            return
        with suppress(OSError):
            if self._path is None:
                path = self._folder / f"{_NAME}{time.time_ns():020d}"
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                self._file = os.open(path, flags, 0o600)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._path = path
            os.write(self._file, json.dumps(record).encode() + b"\n")


def left(folder: Path) -> list[str]:
    """Return the lines of chats that were killed, the oldest first; their files are removed."""
    found: list[str] = []
    for path in sorted(folder.glob(f"{_NAME}*")):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where its chat lives
            found += _replayed(file.read())
            path.unlink()
    return found


def _replayed(data: bytes) -> Iterator[str]:
    held: list[str] = []
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # cut off: it was not shown either
            continue
        if isinstance(record, str):
            held.append(record)
        else:
            del held[:1]
    yield from held

"""Parts that the session tests share."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import apsw

from palaver.core.messages import assistant, user
from palaver.sessions.store import Store


def talk(store: Store, session: int, turns: list[tuple[str, str]]) -> list[int]:
    """Append user and assistant messages after the tip, without syncs; return all row ids."""
    rows: list[int] = []
    tip = store.tip(session)
    for said, answered in turns:
        for message in (user(said), assistant(answered)):
            tip = store.append(session, tip, message, durable=False).id
            rows.append(tip)
    return rows


def texts(store: Store, session: int) -> list[str]:
    """Return the texts of the messages on the session's path."""
    return [row.entry.text for row in store.path(session)]


def python(code: str, *args: object, **kwargs) -> subprocess.Popen:
    """Run `code` in a process of its own, its stdout a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def spoil(data: bytearray, rng: random.Random) -> None:
    """Flip bits of a file's bytes, or make ranges of them zero."""
    for _ in range(rng.choice([1, 1, 3, 50])):
        place = rng.randrange(len(data))
        if rng.random() < 0.7:
            data[place] ^= 1 << rng.randrange(8)
        else:
            length = min(rng.randrange(1, 3000), len(data) - place)
            data[place : place + length] = bytes(length)


class CountingFile(apsw.VFSFile):
    """A file that notes each sync in its VFS."""

    def __init__(self, vfs: CountingVFS, name, flags):
        self._vfs = vfs
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name).name
        super().__init__(vfs.below, name, flags)

    def xSync(self, flags):  # noqa: N802 - SQLite's name
        self._vfs.syncs.append(self._name)
        return super().xSync(flags)


class CountingVFS(apsw.VFS):
    """The operating system's files, with a list of the files that were synced."""

    def __init__(self, name: str):
        self.below = apsw.vfs_names()[0]
        self.syncs: list[str] = []
        super().__init__(name, self.below)

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        return CountingFile(self, name, flags)

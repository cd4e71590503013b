"""Private folders for an engine's socket and log, and removing what dead processes left.

Imports nothing but the standard library, because it runs before the prompt is drawn.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import IO

SOCKET = "s.sock"
LOG = "log"
_LONGEST = 100  # bytes; the path of a unix socket holds 108 on Linux, 104 on macOS
_PREFIX = "engine-"
_TEMPORARY = "palaver-engine-"  # of folders elsewhere, where the path of the usual one is too long


def make(parent: Path) -> Path:
    """Make a fresh folder of mode 0700, in `parent` if a socket's path is short enough there.

    Its name says our process id, for `sweep`. Raises OSError.
    """
    folder = parent / f"{_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
    if _fits(folder):
        folder.mkdir(mode=0o700)
        return folder
    import tempfile

    prefix = f"{_TEMPORARY}{os.getpid()}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_short_temporary()))  # of mode 0700


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET)) <= _LONGEST


def _short_temporary() -> Path:
    import tempfile

    usual = Path(tempfile.gettempdir())
    return usual if _fits(usual / (_TEMPORARY + "4194304-12345678")) else Path("/tmp")


def hold(log: IO[bytes]) -> None:
    """Lock a log: the lock lives as long as any process that inherits the open file."""
    import fcntl

    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # a file system without locks: `sweep` has the process ids


def sweep(parent: Path) -> int:
    """Remove the folders whose processes are gone; return how many there were."""
    removed = 0
    for place, prefix in ((parent, _PREFIX), (_short_temporary(), _TEMPORARY)):
        try:
            with os.scandir(place) as entries:  # others end there at the same time
                found = [Path(entry.path) for entry in entries if _ours(entry, prefix)]
        except OSError:
            continue
        for folder in found:
            if not _alive(folder.name[len(prefix) :]) and not _held(folder / LOG):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def _ours(entry: os.DirEntry[str], prefix: str) -> bool:
    return (
        entry.name.startswith(prefix)
        and entry.is_dir(follow_symlinks=False)
        and entry.stat(follow_symlinks=False).st_uid == os.getuid()
    )


def _alive(name: str) -> bool:
    pid = name.partition("-")[0]
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _held(log: Path) -> bool:
    """Say whether a process that inherited the log runs, also one of another PID namespace."""
    import fcntl

    try:
        with log.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False

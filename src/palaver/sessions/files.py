"""Private files and the locks that say who writes a session."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from palaver.core.errors import UserError
from palaver.sessions.faults import from_os


def make_private(path: Path) -> bool:
    """Create `path` as 0600 in a 0700 folder if it isn't there; return whether it was made.

    The umask has no say. A link is refused, and a file that others may read is closed to them.
    Raises StoreError.
    """
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True)
            path.parent.chmod(0o700)
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            opened = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            made = True
        except FileExistsError:
            opened = os.open(path, flags)
            made = False
        try:
            if made or os.fstat(opened).st_mode & 0o077:
                os.fchmod(opened, 0o600)
        finally:
            os.close(opened)
    except OSError as error:
        raise from_os(path, error) from error
    return made


class Claims:
    """The sessions that this process writes: a lock of the operating system for each.

    A lock is a file under `folder` held by flock: it ends with the process, however that ends.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first lock is taken."""
        self._folder = folder
        self._held: dict[int, int] = {}

    def __contains__(self, session: int) -> bool:
        return session in self._held

    def take(self, session: int) -> None:
        """Take the lock of a session. Raises UserError where another process has it."""
        path = self._folder / f"{session}.lock"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            while session not in self._held:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                try:
                    _lock(handle, session)
                    if os.fstat(handle).st_nlink:  # else its owner removed it as we waited
                        self._held[session] = handle
                finally:
                    if session not in self._held:
                        os.close(handle)
        except OSError as error:
            raise from_os(path, error) from error

    def drop(self, session: int) -> None:
        """Give the lock of a session back, if it is held."""
        handle = self._held.pop(session, None)
        if handle is not None:
            with suppress(OSError):  # a file that stays holds nobody back
                (self._folder / f"{session}.lock").unlink()
            os.close(handle)

    def drop_all(self) -> None:
        """Give every lock back."""
        for session in list(self._held):
            self.drop(session)


def _lock(handle: int, session: int) -> None:
    """Lock a session's file and write into it who did. Raises UserError, OSError."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        raise _taken(session, owner) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


def _taken(session: int, owner: str) -> UserError:
    return UserError(
        f"Session {session} is open for writing in another palaver"
        + (f" (process {owner})." if owner.isdigit() else "."),
        fix=f"Leave it there first, or go on in a copy: palaver sessions fork {session}",
    )

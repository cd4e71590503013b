"""Turns what SQLite and the file system say into errors that name the file and the fix."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from palaver.core.errors import StoreError
from palaver.sessions.codec import DamagedError


def salvage_fix(path: Path) -> str:
    """Return the sentence that says how to save what is readable."""
    return (
        f"Nothing was overwritten. Copy what is readable into a new store: "
        f"palaver sessions salvage {path} {path.with_name('salvaged.db')}"
    )


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Raise StoreError for each fault of the store at `path` that is not ours."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, DamagedError) as error:
        raise StoreError(f"{path} is damaged: {error}", fix=salvage_fix(path)) from error
    except apsw.FullError as error:
        raise StoreError(f"The disk that holds {path} is full.", fix=_full_fix()) from error
    except (apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError) as error:
        raise StoreError(
            f"{path} can't be written: {error}",
            fix=f"Make the file and its folder yours to write (chmod u+w), or set PALAVER_HOME "
            f"to another folder. Reading {path.name} still works.",
        ) from error
    except apsw.BusyError as error:
        raise StoreError(
            f"{path} is busy: another program has been writing to it for seconds.",
            fix="End the other program, or try again.",
        ) from error
    except (apsw.CantOpenError, apsw.ProtocolError, apsw.NoLFSError) as error:
        raise StoreError(
            f"{path} can't be opened: {error}",
            fix="Its folder must exist, be yours, and be on a disk of this machine (not a network "
            "share). PALAVER_HOME names another.",
        ) from error
    except apsw.IOError as error:
        raise _io_error(path, error) from error


def _full_fix() -> str:
    return "What was said before is safe. Free some space, then say the last thing again."


def _io_error(path: Path, error: apsw.IOError) -> StoreError:
    write = {
        apsw.SQLITE_IOERR_WRITE,
        apsw.SQLITE_IOERR_FSYNC,
        apsw.SQLITE_IOERR_TRUNCATE,
        apsw.SQLITE_IOERR_SHMSIZE,
    }
    if getattr(error, "extendedresult", 0) in write:
        return StoreError(f"The disk refused a write to {path} (full?): {error}", fix=_full_fix())
    return StoreError(f"The disk failed while {path} was used: {error}", fix=salvage_fix(path))


def from_os(path: Path, error: OSError) -> StoreError:
    """Return the StoreError for what the file system said about `path`."""
    why = error.strerror or str(error)
    if error.errno == errno.ELOOP:
        return StoreError(
            f"{path} is a symbolic link; the store must be a file.",
            fix="Set PALAVER_HOME to the folder that it points to.",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(f"The disk that holds {path} is full.", fix=_full_fix())
    return StoreError(
        f"{path} can't be opened: {why}",
        fix="Make the file and its folder yours to read and write, or set PALAVER_HOME to "
        "another folder.",
    )

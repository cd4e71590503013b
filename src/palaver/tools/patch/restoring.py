"""Puts files back after a patch that failed, or was killed, half-way.

While a patch is applied its folder holds one of ours, `.palaver-patch-XXXXXXXX`: the new files,
hard links to the old ones, and a journal that says which is which. The journal is on the disk
before the first file is replaced and is removed after the last: as long as it is there, the patch
did not happen. A file is put back only if it is exactly what the patch made of it, so nothing is
lost that was written since. A journal counts only in the folder, by device and inode, that it was
written in: one that came with a repository does nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from palaver.tools.patch.errors import PatchError
from palaver.tools.patch.folder import STAGING, Stamp, names, open_root, parent_of, relative, sync

JOURNAL = "journal"
_MAX_JOURNAL = 64 * 1024 * 1024  # bytes
_OURS = re.compile(rf"{JOURNAL}|(?:new|old)-\d+")


class Step(Struct, frozen=True):
    """What is done to one file; `old` and `new` are names in our folder, `made` marks the new."""

    path: str
    old: str | None
    new: str | None
    made: Stamp | None


class Journal(Struct, frozen=True):
    """A patch under way: its folder (device, inode), the folders it makes, its steps in order."""

    device: int
    inode: int
    folders: tuple[str, ...]
    steps: tuple[Step, ...]


def recover(root: Path) -> tuple[str, ...]:
    """Undo what patches that were cut off left half done in `root`; return a line for each file.

    Does nothing while a patch is being applied there. Raises PatchError where a file can't be
    put back; its old content stays in our folder.
    """
    descriptor = open_root(root)
    try:
        left = [name for name in names(descriptor) if name.startswith(STAGING)]
        if not left:
            return ()
        said: list[str] = []
        with locked(descriptor):
            for name in sorted(left):
                said += _recover(descriptor, root, name)
        return tuple(said)
    except BlockingIOError:
        return ()
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(root: int) -> Iterator[None]:
    """Keep other processes from patching this folder. Raises BlockingIOError if one does."""
    try:
        fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        # Network file systems refuse to lock a folder: there, two at once are not kept apart.
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(root, fcntl.LOCK_UN)


def undo(root: int, staging: int, journal: Journal) -> list[str]:
    """Take back the steps that were done, the last one first; return the files put back.

    Raises PatchError if one could not be, after all others were.
    """
    back: list[str] = []
    failed: list[str] = []
    folders_stand = True
    for step in reversed(journal.steps):
        if folders_stand and step.new is None and _is_above_a_new_file(step, journal):
            _remove_folders(root, journal.folders)
            folders_stand = False
        try:
            if _take_back(root, staging, step):
                back.append(step.path)
        except FileNotFoundError:
            continue  # the folder it was in is gone, and the file with it
        except (OSError, PatchError) as error:
            failed.append(f"{step.path}: {error}")
    if folders_stand:
        _remove_folders(root, journal.folders)
    if failed:
        raise PatchError(
            "these files could not be put back as they were:\n" + "\n".join(failed),
            fix=f"Their old contents lie in a folder that begins with {STAGING}.",
        )
    return back


def discard(root: int, staging: int, name: str) -> None:
    """Remove our folder, the journal first. What can't be removed is left; it does no harm."""
    with contextlib.suppress(OSError):
        inside = [inner for inner in names(staging) if _OURS.fullmatch(inner)]
        for inner in sorted(inside, key=lambda inner: inner != JOURNAL):
            os.unlink(inner, dir_fd=staging)
        os.rmdir(name, dir_fd=root)


def _recover(root: int, where: Path, name: str) -> list[str]:
    try:
        staging = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    except OSError:
        return []  # not a folder of ours
    try:
        status = os.fstat(staging)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            return []
        journal = _read(staging)
        back: list[str] = []
        if journal:
            if (journal.device, journal.inode) != (status.st_dev, status.st_ino):
                return []
            if any(relative(where, step.path) != step.path for step in journal.steps):
                return []
            back = undo(root, staging, journal)
        discard(root, staging, name)
        return [f"put back {path}: the patch that changed it had been cut off" for path in back]
    finally:
        os.close(staging)


def _read(staging: int) -> Journal | None:
    """Return the journal; None if there is none or it was not finished: then nothing was done."""
    try:
        file = os.open(JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=staging)
    except FileNotFoundError:
        return None
    with os.fdopen(file, "rb") as opened:
        try:
            return msgspec.json.decode(opened.read(_MAX_JOURNAL), type=Journal)
        except msgspec.MsgspecError:
            return None


def _take_back(root: int, staging: int, step: Step) -> bool:
    with parent_of(root, step.path) as (folder, name):
        try:
            now = Stamp.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            now = None
        if now != step.made:
            return False  # not done yet, or changed by someone since
        if step.old:
            os.rename(step.old, name, src_dir_fd=staging, dst_dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
        sync(folder)
    return True


def _remove_folders(root: int, folders: tuple[str, ...]) -> None:
    """Remove the folders that were made, as far as they are empty."""
    for path in reversed(folders):
        with contextlib.suppress(OSError, PatchError), parent_of(root, path) as (folder, name):
            os.rmdir(name, dir_fd=folder)


def _is_above_a_new_file(step: Step, journal: Journal) -> bool:
    return any(other.new and other.path.startswith(f"{step.path}/") for other in journal.steps)

"""Reaches files beneath a folder by folder descriptors, never through a symbolic link."""

from __future__ import annotations

import difflib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from palaver.tools.files import open_beneath
from palaver.tools.patch.errors import PatchError

STAGING = ".palaver-patch-"  # what the names of our own folders begin with
MAX_BYTES = 32 * 1024 * 1024  # a larger file is not text that a model edits
_LINK = "it is, or leads through, a symbolic link, and those are not followed"
_IN_THE_WAY = {
    errno.ELOOP: _LINK,
    errno.EXDEV: "it leads out of the folder",
    errno.ENOTDIR: "a folder above it is a file",
}


class Stamp(Struct, frozen=True):
    """What tells a file from another one, and from itself before it was written to."""

    device: int
    inode: int
    size: int
    written: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take it from the file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Look(Struct, frozen=True):
    """What a file keeps when it is replaced: permission bits and owner."""

    mode: int
    owner: int
    group: int


class Found(Struct, frozen=True):
    """A file as it was read."""

    data: bytes
    look: Look
    stamp: Stamp
    writable: bool


def open_root(root: Path) -> int:
    """Open the folder that nothing leaves; links on the way to it are the user's own."""
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PatchError(f"{root} can't be opened: {reason(error)}") from error


def relative(root: Path, path: str) -> str:
    """Return `path` as one beneath `root`, without `.` and `..`.

    Raises PatchError for one that leads out, into .git, or is none.
    """
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise PatchError("the path holds a control character")
    normal = os.path.normpath(path)
    if path.startswith("/"):
        bases = {os.path.abspath(root), os.path.realpath(root)}  # noqa: PTH100 - texts, not files
        inside = [b.rstrip("/") + "/" for b in bases if normal.startswith(b.rstrip("/") + "/")]
        normal = normal[len(max(inside, key=len)) :] if inside else ".."
    parts = normal.split("/")
    if ".." in parts or normal.startswith("/"):
        raise PatchError(f"it lies outside {root}; only files beneath that folder can be patched")
    if normal in (".", ""):
        raise PatchError("it is the folder itself")
    if any(part.lower() == ".git" or part.startswith(STAGING) for part in parts):
        raise PatchError("what lies in .git or in a folder of palaver's is not patched")
    return normal


@contextmanager
def parent_of(root: int, path: str) -> Iterator[tuple[int, str]]:
    """Open the folder that holds `path`; yield its descriptor and the last name.

    Raises FileNotFoundError where the folder does not exist, PatchError where a link or a file
    stands in its place.
    """
    *folders, name = path.split("/")
    try:
        here = open_beneath(root, folders, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        raise PatchError(_IN_THE_WAY[error.errno]) from error
    try:
        yield here, name
    finally:
        os.close(here)


def read(root: int, path: str) -> Found | None:
    """Read the file at `path`, None if there is none. Raises PatchError for anything else."""
    try:
        with parent_of(root, path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            _check_regular(status)  # before opening, which a pipe or a device could feel
            file = open_beneath(folder, (name,), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            with os.fdopen(file, "rb") as opened:
                status = os.fstat(file)
                _check_regular(status)
                data = opened.read(MAX_BYTES + 1)
            writable = os.access(name, os.W_OK, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PatchError(f"it can't be read: {reason(error)}") from error
    if len(data) > MAX_BYTES:
        raise PatchError(f"it is larger than {MAX_BYTES // 1024**2} MB")
    look = Look(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    return Found(data, look, Stamp.of(status), writable)


def alike(root: int, path: str) -> list[str]:
    """Return up to three names in the folder of `path` that are like its last."""
    try:
        with parent_of(root, path) as (folder, name):
            return difflib.get_close_matches(name, names(folder)[:5_000])
    except (OSError, PatchError):
        return []


def names(folder: int) -> list[str]:
    """Return the names in a folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def sync(folder: int) -> None:
    """Bring a folder's entries to the disk, where its file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def reason(error: OSError) -> str:
    """Say an error of the system in its own words."""
    if error.errno == errno.EXDEV:
        return "it lies on another file system than the folder; patch it from a folder there"
    return (error.strerror or str(error)).lower()


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise PatchError(_LINK)
    if stat.S_ISDIR(status.st_mode):
        raise PatchError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise PatchError("it is a pipe, socket or device, not a file")

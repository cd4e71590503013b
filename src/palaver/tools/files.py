"""The one way in which tools open files: beneath a folder, through no symbolic link.

On Linux `openat2` does that in one call (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS; man 2 openat2);
elsewhere, and where it is filtered, a walk opens one folder after the other with O_NOFOLLOW.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from palaver.core.tool import ToolError

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE = 0x02 | 0x04 | 0x08  # no magic links, no symbolic links, beneath
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
SCRATCH = ".palaver-"  # what a file or folder is called while it is being written
_MADE = 0o777  # of new folders, less the umask


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def parts_of(root: Path, path: str) -> tuple[str, ...]:
    """Return the names on the way from `root` to `path`; none for `root` itself.

    `path` is relative to `root`, or absolute and below it. Raises ToolError where it leads out.
    """
    if "\0" in path:
        raise ToolError("error: a path can't hold a NUL")
    if path.startswith("/"):
        top = str(root).rstrip("/")
        if path != top and not path.startswith(f"{top}/"):
            raise ToolError(f"error: {path} is outside of the folder {root}")
        path = path[len(top) :]
    names: list[str] = []
    for name in path.split("/"):
        if name == ".." and not names:
            raise ToolError(f"error: {path} is outside of the folder {root}")
        if name == "..":
            names.pop()
        elif name not in ("", "."):
            names.append(name)
    return tuple(names)


def open_beneath(folder: int, names: Sequence[str], flags: int, mode: int = 0) -> int:
    """Open what `names` lead to from an open folder. Raises OSError; ELOOP at a symbolic link."""
    if not names:
        return os.open(".", flags | os.O_CLOEXEC, dir_fd=folder)
    found = _openat2(folder, "/".join(names), flags, mode)
    return _walk(folder, names, flags, mode) if found is None else found


def _openat2(folder: int, path: str, flags: int, mode: int) -> int | None:
    """Open by the system call; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    how = _How(flags | os.O_CLOEXEC, mode if flags & os.O_CREAT else 0, _RESOLVE)
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(8):
        fd = libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if fd >= 0:
            return int(fd)
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EPERM):
            return None
        if number not in (errno.EAGAIN, errno.EINTR):  # a rename went on meanwhile
            raise OSError(number, os.strerror(number), path)
    return None


def _walk(folder: int, names: Sequence[str], flags: int, mode: int) -> int:
    """Open one folder after the other, then what was asked for."""
    at, name = os.dup(folder), names[0]
    try:
        for name in names[:-1]:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        name = names[-1]
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=at)
    except NotADirectoryError:  # what O_DIRECTORY says of a link, too
        if _is_link(at, name):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise
    finally:
        os.close(at)


def _is_link(folder: int, name: str) -> bool:
    with suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


@contextmanager
def folder_of(root: Path, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder that holds `path`; yield it and the last name.

    `make` makes the folders that are missing. Raises ToolError.
    """
    names = parts_of(root, path)
    if not names:
        raise ToolError(f"error: {path} is the folder itself")
    way = _made if make else _below
    with (
        _named(path),
        _opened(os.open(root, _FOLDER)) as top,
        _opened(way(top, names[:-1])) as folder,
    ):
        yield folder, names[-1]


def _below(top: int, names: Sequence[str]) -> int:
    return open_beneath(top, names, _FOLDER)


def _made(top: int, names: Sequence[str]) -> int:
    at = os.dup(top)
    for name in names:
        try:
            with suppress(FileExistsError):
                os.mkdir(name, _MADE, dir_fd=at)
            below = open_beneath(at, (name,), _FOLDER)
        finally:
            os.close(at)
        at = below
    return at


@contextmanager
def open_file(root: Path, path: str) -> Iterator[int]:
    """Open a regular file beneath `root` for reading. Raises ToolError."""
    names = parts_of(root, path)
    # Without waiting: opening a named pipe would wait for somebody to write to it.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    with (
        _named(path),
        _opened(os.open(root, _FOLDER)) as top,
        _opened(open_beneath(top, names, flags)) as fd,
    ):
        _check_regular(os.fstat(fd).st_mode, path)
        yield fd


def _check_regular(mode: int, path: str) -> None:
    if stat.S_ISDIR(mode):
        raise ToolError(f"error: {path} is a folder")
    if not stat.S_ISREG(mode):
        raise ToolError(f"error: {path} is no regular file")


@contextmanager
def open_folder(root: Path, path: str) -> Iterator[int]:
    """Open a folder beneath `root`, or `root` itself. Raises ToolError."""
    names = parts_of(root, path)
    with _named(path), _opened(os.open(root, _FOLDER)) as top, _opened(_below(top, names)) as fd:
        yield fd


def read(root: Path, path: str, most: int) -> bytes:
    """Read a whole file of at most `most` bytes. Raises ToolError."""
    with open_file(root, path) as fd, os.fdopen(fd, "rb", closefd=False) as file:
        data = file.read(most + 1)
        if len(data) > most:
            raise ToolError(f"error: {path} has {os.fstat(fd).st_size} bytes, more than {most}")
        return data


def held(root: Path, path: str, most: int) -> bytes | None:
    """Return what stands where `write` would write, `most` bytes and one at most; None where
    nothing does. Raises ToolError."""
    names = parts_of(root, path)
    if not names:
        raise ToolError(f"error: {path} is the folder itself")
    with _named(path), _opened(os.open(root, _FOLDER)) as top:
        try:
            with _opened(open_beneath(top, names[:-1], _FOLDER)) as folder:
                if _regular(folder, names[-1], path) is None:
                    return None
        except FileNotFoundError:
            return None
    with open_file(root, path) as fd, os.fdopen(fd, "rb", closefd=False) as file:
        return file.read(most + 1)


def remove(root: Path, path: str) -> None:
    """Remove a file. Raises ToolError."""
    with folder_of(root, path) as (folder, name):
        if _regular(folder, name, path):
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)


def write(root: Path, path: str, data: bytes, *, mode: int | None = None) -> None:
    """Put `data` in the place of a file, whole or not at all; its mode and owner stay.

    `mode` is that of a file where there was none. The folders on the way are made. On disk when
    this returns. Raises ToolError.
    """
    with folder_of(root, path, make=True) as (folder, name):
        old = _regular(folder, name, path)
        scratch = f"{SCRATCH}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(scratch, flags, 0o666, dir_fd=folder), "wb") as file:
                if old:
                    with suppress(PermissionError):
                        os.fchown(file.fileno(), old.st_uid, old.st_gid)
                    os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
                elif mode is not None:
                    os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(scratch, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(scratch, dir_fd=folder)
            raise
        os.fsync(folder)


def _regular(folder: int, name: str, path: str) -> os.stat_result | None:
    """Return what is known of a file; None where there is none. Raises ToolError for a link."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    _check_regular(found.st_mode, path)
    return found


@contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


_REASONS = {
    errno.ENOENT: "no such file or folder: {path}",
    errno.ELOOP: "{path} is, or leads through, a symbolic link: not followed",
    errno.EXDEV: "{path} is outside of the folder",
    errno.EACCES: "permission denied: {path}",
    errno.ENOTDIR: "{path} is no folder, or leads through a file",
    errno.EISDIR: "{path} is a folder",
    errno.ENAMETOOLONG: "{path} is too long a name",
}


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Turn what the system says into an error that a model can act on."""
    try:
        yield
    except OSError as error:
        what = _REASONS.get(error.errno or 0, "{path}: {why}")
        raise ToolError(
            "error: " + what.format(path=path, why=error.strerror or str(error))
        ) from None

"""Appends lines to a file of records so that a crash at any point leaves whole lines.

A line torn by an earlier crash is cut off first: appended to, it would take the next record
with it. New lines go in by one write and are on the disk when this returns; a lock keeps other
processes out. What the file holds already is not written again: the file itself is asked, so
neither a crash between writing and noting nor an edited file can make a record stand twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from palaver.core.errors import UserError

LOCK_SECONDS = 10.0
_BEGINNING = b'{"messages":'


class Place(Struct, frozen=True):
    """Where a line stands in the file: its first byte, its length, BLAKE2b of it (16 bytes)."""

    start: int
    length: int
    digest: bytes


def digest(line: bytes) -> bytes:
    """Return what a line is known by."""
    return blake2b(line, digest_size=16).digest()


def check_writable(path: Path) -> None:
    """Raise UserError if records could not be appended to `path`; leaves no trace."""
    there = path.exists()
    with _locked(path) as file:
        if not _end(file, path, cut=False) and not there:  # nor did another write it since
            path.unlink(missing_ok=True)


def append_records(
    path: Path,
    lines: list[bytes],
    known: dict[bytes, int] | None = None,
    note: Callable[[list[Place]], None] | None = None,
) -> list[Place]:
    """Append those of `lines` that the file does not hold; return where they now stand.

    `known` says at which byte a line of a digest was last written, which saves reading the
    file. `note` is called with the places before anything is written. The file is made 0600.
    Raises UserError where it can't be written; then it is as it was.
    """
    with _locked(path) as file:
        end = _end(file, path, cut=True)
        fresh = _without_those_in(file, lines, known or {}, end)
        if not fresh:
            return []
        data = bytearray()
        places: list[Place] = []
        if end and os.pread(file, 1, end - 1) != b"\n":
            data += b"\n"
        for line in fresh:
            places.append(Place(end + len(data), len(line), digest(line)))
            data += line + b"\n"
        if note:
            note(places)
        try:
            _write(file, bytes(data), end)
        except OSError as error:
            os.ftruncate(file, end)
            raise _from_os(path, error) from error
        if not end:
            _sync_folder(path)
        return places


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file for this process alone."""
    try:
        while True:
            file = _open(path)
            try:
                _lock(file, path)
                if os.fstat(file).st_nlink:  # else it was removed or replaced as we waited
                    yield file
                    return
            finally:
                os.close(file)
    except OSError as error:
        raise _from_os(path, error) from error


def _lock(file: int, path: Path) -> None:
    """Wait for the lock. Raises UserError where another program keeps it."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise UserError(
                    f"Another program keeps {path} locked.", fix="Wait for it, or end it."
                ) from None
            time.sleep(0.01)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file, made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
    except FileExistsError:
        file, made = os.open(path, flags), False
    try:
        if made:
            os.fchmod(file, 0o600)  # the umask has no say
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise UserError(f"{path} is no ordinary file.", fix="Name a file to append records to.")
    except BaseException:
        os.close(file)
        raise
    return file


def _end(file: int, path: Path, *, cut: bool) -> int:
    """Return where the file ends without a torn line; with `cut` make it end there.

    Raises UserError where the last line is something else than a record or a piece of one.
    """
    size = os.fstat(file).st_size
    start = _last_line(file, size)
    tail = os.pread(file, size - start, start)
    if not tail:
        return size
    try:
        msgspec.json.decode(tail)
        return size
    except (msgspec.DecodeError, ValueError, RecursionError):
        piece = tail.rstrip(b"\0")  # a power cut can leave a page of zeros
    if not (piece.startswith(_BEGINNING) or _BEGINNING.startswith(piece)):
        raise UserError(
            f"{path} ends in a line that is no record; nothing was appended to it.",
            fix="Give another file, or mend its last line.",
        )
    if cut:
        os.ftruncate(file, start)
    return start


def _last_line(file: int, size: int) -> int:
    """Return where the text after the last newline begins."""
    at = size
    while at > 0:
        step = min(at, 1 << 16)
        found = os.pread(file, step, at - step).rfind(b"\n")
        if found >= 0:
            return at - step + found + 1
        at -= step
    return 0


def _without_those_in(
    file: int, lines: list[bytes], known: dict[bytes, int], end: int
) -> list[bytes]:
    fresh: dict[bytes, bytes] = {}
    for line in lines:
        name = digest(line)
        place = known.get(name)
        if place is None or os.pread(file, len(line) + 1, place).rstrip(b"\n") != line:
            fresh[name] = line
    if fresh and end:
        with open(os.dup(file), "rb") as reader:  # noqa: PTH123 - a descriptor
            reader.seek(0)
            for line in reader:
                fresh.pop(digest(line.rstrip(b"\r\n")), None)
                if not fresh:
                    break
    return list(fresh.values())


def _write(file: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):  # a second round only where the kernel took less than all
        done += os.pwrite(file, data[done:], at + done)
    os.fsync(file)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _from_os(path: Path, error: OSError) -> UserError:
    if error.errno == errno.ELOOP:
        return UserError(
            f"{path} is a symbolic link.", fix="Give the file itself that it points to."
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(
            f"The disk that holds {path} is full; the file is as it was.",
            fix="The conversation is in the store. Free some space, then save it again.",
        )
    return UserError(
        f"Records can't be appended to {path}: {error.strerror or error}.",
        fix="Give a file in a folder that exists and is yours to write.",
    )

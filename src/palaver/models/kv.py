"""Saved states: a cache on disk that may be thrown away at any time.

A state belongs to a sequence of tokens. Its name says the engine's fingerprint, the number of
tokens, the hash of their ids, its size in bytes and a mark (see `State`), so that a file is
checked before an engine sees it (a truncated one aborts llama.cpp). llama.cpp's file begins with
20 bytes, the count and the ids, each an unsigned 32-bit number (version 4, tried with xllamacpp
2026.10). Other engines write safetensors (https://huggingface.co/docs/safetensors) with the ids
as the tensor "ids".
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

_MAGIC = b"qsgg"
_VERSION = 4
_COUNT_AT = 20
_LONGEST_HEADER = 1 << 24  # bytes of a safetensors header: some 100 a tensor, two tensors a layer


class _Entry(Struct, frozen=True):
    """What a safetensors header says of a tensor."""

    dtype: str
    data_offsets: tuple[int, int]


class State(Struct, frozen=True):
    """A usable state file, the ids it holds and how many of what is wanted it serves.

    `mark` is a place before its end that an engine can go back to which can't go back to any.
    """

    path: Path
    ids: list[int]
    mark: int
    serves: int
    common: int


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading ids are equal. Both must be of one type, as slices are compared."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    low, high = 0, n  # a[:low] equal, a[:high] not
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def ids_of(path: Path) -> array[int] | None:
    """Return the ids in a state file's header, or None where it is not a whole header."""
    try:
        with path.open("rb") as file:
            place = _place(file)
            if place is None:
                return None
            start, size = place
            file.seek(start)
            data = file.read(size)
    except OSError:
        return None
    if len(data) < size:
        return None
    ids = array("I")
    ids.frombytes(data)
    return ids


def _place(file: BinaryIO) -> tuple[int, int] | None:
    """Return where the ids of a state file lie and how many bytes they are."""
    head = file.read(_COUNT_AT + 4)
    if len(head) < _COUNT_AT + 4:
        return None
    if head[:4] == _MAGIC:
        if int.from_bytes(head[4:8], "little") != _VERSION:
            return None
        return _COUNT_AT + 4, 4 * int.from_bytes(head[_COUNT_AT:], "little")
    length = int.from_bytes(head[:8], "little")
    if length > _LONGEST_HEADER:
        return None
    file.seek(8)
    try:
        entries = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        entry = msgspec.json.decode(entries["ids"], type=_Entry)
    except (msgspec.DecodeError, KeyError):
        return None
    begin, end = entry.data_offsets
    if entry.dtype != "U32" or not 0 <= begin <= end or (end - begin) % 4:
        return None
    return 8 + length + begin, end - begin


def _digest(ids: array[int]) -> str:
    return hashlib.blake2b(ids.tobytes(), digest_size=8).hexdigest()


def serves(
    wanted: int, common: int, held: int, marks: Sequence[int], *, cut_back: bool, whole: bool
) -> int:
    """Return how many tokens a cache serves of `wanted`, of which it holds the first `common`.

    It holds `held` in all. One that can't be cut back is good for what goes on from its end
    (`whole`: if that is known and may be used), or from one of its `marks`.
    """
    if cut_back:
        return common
    if whole and common == held < wanted:
        return held
    return max((mark for mark in marks if mark <= common), default=0)


class States:
    """The states of one engine in `folder`, at most `limit` bytes of all engines together."""

    def __init__(self, folder: Path, fingerprint: str, limit: int) -> None:
        """`limit` 0: what is there is used, nothing is written."""
        self.folder = folder
        self._prefix = fingerprint[:16]
        self._limit = limit
        self._known: dict[str, array[int]] = {}  # by name, which says what the file holds

    def best(
        self, wanted: Sequence[int], more_than: int, *, cut_back: bool = True, whole: bool = True
    ) -> State | None:
        """Return the state that serves most of `wanted`, if more than `more_than` tokens.

        `cut_back` and `whole`: see `serves`.
        """
        ids_wanted = array("I", wanted)
        best: State | None = None
        for path in self.folder.glob(f"{self._prefix}-*.kv"):
            count, mark = _numbers(path)
            if count <= (best.serves if best else more_than):
                continue
            ids = self._checked(path)
            if ids is None:
                continue
            common = common_prefix(ids, ids_wanted)
            tokens = serves(
                len(ids_wanted), common, len(ids), [mark], cut_back=cut_back, whole=whole
            )
            if tokens > (best.serves if best else more_than):
                best = State(path, ids.tolist(), mark, tokens, common)
        return best

    def _checked(self, path: Path) -> array[int] | None:
        """Return the ids of a file whose name, size and header agree; remove any other."""
        try:
            _, count, digest, size, _ = path.stem.split("-")
            if path.stat().st_size == int(size):
                if path.name in self._known:
                    return self._known[path.name]
                ids = ids_of(path)
                if ids is not None and len(ids) == int(count) and _digest(ids) == digest:
                    self._known[path.name] = ids
                    return ids
        except (OSError, ValueError):
            pass
        self.discard(path)
        return None

    def discard(self, path: Path) -> None:
        """Remove a state that is of no use."""
        self._known.pop(path.name, None)
        with contextlib.suppress(OSError):
            path.unlink()

    def has(self, ids: Sequence[int]) -> bool:
        """Say whether a state of exactly these ids is there."""
        digest = _digest(array("I", ids))
        return any(self.folder.glob(f"{self._prefix}-{len(ids)}-{digest}-*.kv"))

    def may_keep(self, size: int) -> bool:
        """Say whether a state of about `size` bytes may be written: limit and disk allow it."""
        if not self._limit or size > self._limit:
            return False
        try:
            return shutil.disk_usage(self.folder).free > 2 * size
        except OSError:
            return False

    def scratch(self) -> Path:
        """Return a path to save a state to, before `keep` gives it its name."""
        return self.folder / f"{self._prefix}-{os.getpid()}-{time.monotonic_ns()}.tmp"

    def keep(self, scratch: Path, mark: int = 0) -> bool:
        """Name a saved state by what it holds; return whether it was worth keeping."""
        ids = ids_of(scratch)
        size = scratch.stat().st_size if ids is not None else 0
        if ids is None or not len(ids) or size > self._limit:
            scratch.unlink(missing_ok=True)
            return False
        self._make_room(size, scratch)
        scratch.chmod(0o600)
        name = f"{self._prefix}-{len(ids)}-{_digest(ids)}-{size}-{min(mark, len(ids))}.kv"
        scratch.rename(self.folder / name)
        return True

    def read(self, path: Path) -> list[int] | None:
        """Return the ids in a state file's header, or None."""
        ids = ids_of(path)
        return ids.tolist() if ids is not None else None

    def touch(self, path: Path) -> None:
        """Mark a state as used now."""
        with contextlib.suppress(OSError):
            os.utime(path)

    def _make_room(self, size: int, scratch: Path) -> None:
        """Remove what was used longest ago until `size` bytes fit under the limit."""
        found: list[tuple[float, int, Path]] = []
        for path in [*self.folder.glob("*.kv"), *self.folder.glob("*.tmp")]:
            if path != scratch:
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    found.append((stat.st_mtime, stat.st_size, path))
        stale = time.time() - 3600  # no save takes an hour: its process is gone
        total = sum(bytes_ for _, bytes_, _ in found)
        for used, bytes_, path in sorted(found):
            spare = used > stale if path.suffix == ".tmp" else total + size <= self._limit
            if not spare:
                self.discard(path)
                total -= bytes_


def _numbers(path: Path) -> tuple[int, int]:
    """Return the count and the mark that a file's name says; a wrong name is looked at later."""
    try:
        _, count, _, _, mark = path.stem.split("-")
        return int(count), int(mark)
    except ValueError:
        return 1 << 62, 0

"""Saved states: a cache on disk that may be thrown away at any time.

A state belongs to a sequence of tokens. Its name says the engine's fingerprint, the number of
tokens, the hash of their ids and its size in bytes, so that a file is checked before an engine
sees it (a truncated one aborts llama.cpp). llama.cpp's file begins with 20 bytes, the count and
the ids, each an unsigned 32-bit number (version 4, tried with xllamacpp 2026.10).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

_MAGIC = b"qsgg"
_VERSION = 4
_COUNT_AT = 20


class State(Struct, frozen=True):
    """A usable state file, the ids it holds and how many of them begin what is wanted."""

    path: Path
    ids: list[int]
    common: int


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading ids are equal."""
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
            head = file.read(_COUNT_AT + 4)
            if len(head) < _COUNT_AT + 4 or head[:4] != _MAGIC:
                return None
            if int.from_bytes(head[4:8], "little") != _VERSION:
                return None
            count = int.from_bytes(head[_COUNT_AT:], "little")
            ids = array("I")
            data = file.read(4 * count)
    except OSError:
        return None
    if len(data) < 4 * count:
        return None
    ids.frombytes(data)
    return ids


def _digest(ids: array[int]) -> str:
    return hashlib.blake2b(ids.tobytes(), digest_size=8).hexdigest()


class States:
    """The states of one engine in `folder`, at most `limit` bytes of all engines together."""

    def __init__(self, folder: Path, fingerprint: str, limit: int) -> None:
        self.folder = folder
        self._prefix = fingerprint[:16]
        self._limit = limit

    def best(self, wanted: Sequence[int], more_than: int, *, whole: bool = False) -> State | None:
        """Return the state with the longest common prefix with `wanted`, above `more_than`.

        `whole`: the engine can't cut a state back, so only one that is a prefix counts.
        """
        best: State | None = None
        ids_wanted = list(wanted)
        for path in self.folder.glob(f"{self._prefix}-*.kv"):
            ids = self._checked(path)
            if ids is None:
                continue
            held = ids.tolist()
            common = common_prefix(held, ids_wanted)
            if whole and common < len(held):
                continue
            if common > (best.common if best else more_than):
                best = State(path, held, common)
        return best

    def _checked(self, path: Path) -> array[int] | None:
        """Return the ids of a file whose name, size and header agree; remove any other."""
        try:
            _, count, digest, size = path.stem.split("-")
            ids = ids_of(path)
            if (
                ids is not None
                and path.stat().st_size == int(size)
                and len(ids) == int(count)
                and _digest(ids) == digest
            ):
                return ids
        except (ValueError, OSError):
            pass
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def has(self, ids: Sequence[int]) -> bool:
        """Say whether a state of exactly these ids is there."""
        digest = _digest(array("I", ids))
        return any(self.folder.glob(f"{self._prefix}-{len(ids)}-{digest}-*.kv"))

    def scratch(self) -> Path:
        """Return a path to save a state to, before `keep` gives it its name."""
        return self.folder / f"{self._prefix}-{os.getpid()}-{time.monotonic_ns()}.tmp"

    def keep(self, scratch: Path) -> bool:
        """Name a saved state by what it holds; return whether it was worth keeping."""
        ids = ids_of(scratch)
        size = scratch.stat().st_size if ids is not None else 0
        if ids is None or not len(ids) or size > self._limit:
            scratch.unlink(missing_ok=True)
            return False
        self._make_room(size)
        scratch.chmod(0o600)
        scratch.rename(self.folder / f"{self._prefix}-{len(ids)}-{_digest(ids)}-{size}.kv")
        return True

    def read(self, path: Path) -> list[int] | None:
        """Return the ids in a state file's header, or None."""
        ids = ids_of(path)
        return ids.tolist() if ids is not None else None

    def touch(self, path: Path) -> None:
        """Mark a state as used now."""
        with contextlib.suppress(OSError):
            os.utime(path)

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago until `size` bytes fit under the limit."""
        found: list[tuple[float, int, Path]] = []
        for path in [*self.folder.glob("*.kv"), *self.folder.glob("*.tmp")]:
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        stale = time.time() - 3600
        total = sum(bytes_ for _, bytes_, _ in found)
        for used, bytes_, path in sorted(found):
            if path.suffix == ".tmp" and used > stale:
                continue
            if total + size <= self._limit and path.suffix != ".tmp":
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                total -= bytes_

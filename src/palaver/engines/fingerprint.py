"""Names a model file by its content: header, tensor table and sampled blocks of the data."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

_BLOCKS = 64
_BLOCK = 4096
_KEPT = 256  # files that the cache remembers


def fingerprint(parts: list[tuple[Path, int]], folder: Path | None) -> str:
    """Return the name of the files `parts` (path, length of its header).

    With a folder it is remembered there by path, inode, size and time of change. The cache is
    only a cache: what can't be read or written is passed over.
    """
    if folder is None:
        return _hash(parts)
    key = "|".join(_stamp(path) for path, _ in parts)
    file = folder / "fingerprints.json"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        known = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    if key not in known:
        known[key] = _hash(parts)
        _keep(file, dict(list(known.items())[-_KEPT:]))
    return known[key]


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{path.resolve()}:{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"


def _hash(parts: list[tuple[Path, int]]) -> str:
    """Hash headers whole and 64 blocks of 4 KiB of each file's data, the last among them."""
    digest = hashlib.blake2b(digest_size=16)
    for path, header in parts:
        size = path.stat().st_size
        digest.update(f"{size} {header}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(header))
            for i in range(1, _BLOCKS + 1):
                file.seek(max(header, header + (size - header) * i // _BLOCKS - _BLOCK))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _keep(file: Path, known: dict[str, str]) -> None:
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_bytes(msgspec.json.encode(known))
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()

"""Keys of clients: named, kept as hashes, taken back at any time.

A key is 32 random bytes, so its hash (SHA-256) needs no salt and no slow function.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from palaver.config import paths
from palaver.core.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


class Key(Struct, frozen=True):
    """A key as it is kept; `added` is in seconds since the epoch."""

    name: str
    hash: str
    added: float


class Keys:
    """The keys in a file, which may change while a server runs."""

    def __init__(self, path: Path) -> None:
        """The file need not exist."""
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._keys: list[Key] = []

    @classmethod
    def usual(cls) -> Keys:
        """Return those of this user."""
        return cls(paths.data_dir() / "serve-keys.json")

    def all(self) -> list[Key]:
        """Return the keys, oldest first. Raises UserError where the file can't be read."""
        try:
            stat = self._path.stat()
            if self._read_at != (stat.st_mtime_ns, stat.st_size):
                self._keys = msgspec.json.decode(self._path.read_bytes(), type=list[Key])
                self._read_at = stat.st_mtime_ns, stat.st_size
        except FileNotFoundError:
            self._keys, self._read_at = [], None
        except (OSError, msgspec.DecodeError) as error:
            raise UserError(f"the keys in {self._path} can't be read: {error}") from None
        return self._keys

    def add(self, name: str) -> str:
        """Make a key and return it: it is shown this once. Raises UserError."""
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{name!r} can't name a key", fix="take up to 64 letters, digits and any of _.@-"
            )
        if any(key.name == name for key in self.all()):
            raise UserError(f"there is a key {name!r} already")
        made = f"palaver-{secrets.token_urlsafe(32)}"
        self._write([*self.all(), Key(name, _hash(made), time.time())])
        return made

    def revoke(self, name: str) -> None:
        """Take a key back. Raises UserError where there is none."""
        kept = [key for key in self.all() if key.name != name]
        if len(kept) == len(self.all()):
            names = ", ".join(key.name for key in kept)
            raise UserError(
                f"there is no key {name!r}", fix=f"there are {names}" if names else None
            )
        self._write(kept)

    def owner(self, key: str) -> str | None:
        """Return the name of a key, None where it is none of ours."""
        sent = _hash(key)
        names = [k.name for k in self.all() if secrets.compare_digest(k.hash, sent)]
        return names[0] if names else None

    def _write(self, keys: list[Key]) -> None:
        scratch = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        scratch.touch(0o600)
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(keys))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

"""A project's own rules: read only if the user trusts exactly these bytes in this folder."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from palaver.core.errors import UserError
from palaver.tools.consent.file import read_project, replace
from palaver.tools.consent.rules import Rule

NAME = ".palaver/rules.toml"
STORE = "trusted.json"  # in the folder of the user's data
_MOST = 65_536  # bytes


def project_rules(root: Path, store: Path) -> tuple[tuple[Rule, ...], str | None]:
    """Return the rules of a project if they are trusted, else none and what to tell the user.

    Raises UserError where the trusted file, or the store, can't be read.
    """
    data = content(root)
    if data is None:
        return (), None
    if _read(store).get(_key(root)) != fingerprint(data):
        return (), f"{NAME} is not trusted and not used; to read and trust it: palaver trust"
    return read_project(data.decode("utf-8", "replace"), NAME), None


def content(root: Path) -> bytes | None:
    """Return the bytes of a project's rules, None where there is no such file. Raises UserError."""
    path = root / NAME
    try:
        # A pipe would hold us up: opened without waiting, and then it must be a file.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UserError(f"{path} is not a file")
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise UserError(f"{path} is larger than {_MOST:,} bytes")
    return data


def fingerprint(data: bytes) -> str:
    """Return what a trusted file is known by."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def trust(root: Path, store: Path, data: bytes) -> None:
    """Trust these bytes as the rules of a project. Raises UserError where they are no rules."""
    read_project(data.decode("utf-8", "replace"), NAME)
    _write(store, {**_read(store), _key(root): fingerprint(data)})


def distrust(root: Path, store: Path) -> None:
    """Trust a project's rules no longer. Raises UserError."""
    _write(store, {key: value for key, value in _read(store).items() if key != _key(root)})


def _key(root: Path) -> str:
    return str(root.resolve())


def _read(store: Path) -> dict[str, str]:
    """Read the store: a JSON object of folders and hashes."""
    try:
        found = json.loads(store.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{store} can't be read", fix="delete it; then no project is trusted")
    return {str(key): str(value) for key, value in found.items()}


def _write(store: Path, trusted: dict[str, str]) -> None:
    try:
        replace(store, json.dumps(trusted, indent=1, ensure_ascii=True) + "\n")
    except OSError as error:
        raise UserError(f"{store} can't be written: {error.strerror}") from None

"""Where palaver keeps its files; every folder is made private (0700) when first asked for."""

from __future__ import annotations

import os
from pathlib import Path

from palaver.core.errors import UserError


def home_override() -> Path | None:
    """Return PALAVER_HOME, under which all folders stand if it is set; absolute, because `cd`
    moves the folder that a chat works in."""
    value = os.environ.get("PALAVER_HOME")
    return Path(value).expanduser().absolute() if value else None


def _place(kind: str) -> Path:
    home = home_override()
    if home:
        return home / kind
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_path")("palaver", appauthor=False))


def _folder(kind: str) -> Path:
    """Return a folder, made where it is missing; raises UserError where that can't be."""
    return _made(_place(kind))


def _made(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder {path} can't be made: {error.strerror}",
            fix="set PALAVER_HOME to a folder that you can write to",
        ) from None
    return path


def here() -> Path:
    """Return the folder that palaver works in; raises UserError where it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "the folder that palaver was started in is gone", fix="cd to one that is there"
        ) from None


def config_dir() -> Path:
    """Return the folder of `config.toml`; it is not made, because most only read there."""
    return _place("config")


def data_dir() -> Path:
    """Return the folder of `palaver.db`, `kv/` and `models/`."""
    return _folder("data")


def state_dir() -> Path:
    """Return the folder of logs, input history and sockets."""
    return _folder("state")


def kv_dir() -> Path:
    """Return the folder of saved states."""
    return _made(data_dir() / "kv")


def models_dir() -> Path:
    """Return the folder of downloaded models."""
    return _made(data_dir() / "models")


def existing(name: str) -> Path | None:
    """Return the file or folder that a user's word names, None where it names none.

    A word that can't be a name, such as a sentence that is too long for one, names none. Raises
    UserError for one that they may not look at.
    """
    try:
        path = Path(name).expanduser()
        if not path.exists():
            return None
    except PermissionError:
        raise forbidden(path) from None
    except (OSError, RuntimeError):  # too long; "~nobody"
        return None
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise forbidden(path)
    return path


def forbidden(path: str | Path) -> UserError:
    """Make the error for a file or folder that the user may not read or write."""
    return UserError(
        f"{path}: permission denied", fix="Check its rights, and those of its folders."
    )


def database() -> Path:
    """Return the path of the session store."""
    return data_dir() / "palaver.db"

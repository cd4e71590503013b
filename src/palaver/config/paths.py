"""Where palaver keeps its files; every folder is made private (0700) when first asked for."""

from __future__ import annotations

import os
from pathlib import Path


def home_override() -> Path | None:
    """Return PALAVER_HOME, under which all folders stand if it is set."""
    value = os.environ.get("PALAVER_HOME")
    return Path(value).expanduser() if value else None


def _folder(kind: str) -> Path:
    home = home_override()
    if home:
        path = home / kind
    else:
        import platformdirs

        path = Path(getattr(platformdirs, f"user_{kind}_path")("palaver", appauthor=False))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def config_dir() -> Path:
    """Return the folder of `config.toml`."""
    return _folder("config")


def data_dir() -> Path:
    """Return the folder of `palaver.db`, `kv/` and `models/`."""
    return _folder("data")


def state_dir() -> Path:
    """Return the folder of logs, input history and sockets."""
    return _folder("state")


def kv_dir() -> Path:
    """Return the folder of saved states."""
    path = data_dir() / "kv"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def models_dir() -> Path:
    """Return the folder of downloaded models."""
    path = data_dir() / "models"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def database() -> Path:
    """Return the path of the session store."""
    return data_dir() / "palaver.db"

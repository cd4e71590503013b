"""Safetensors folders on this machine: what is one, and which one a name means."""

from __future__ import annotations

import re
from pathlib import Path

from palaver.config.paths import existing

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def is_checkpoint(path: Path) -> bool:
    """Say whether a folder holds a model's config.json and its safetensors."""
    return (path / "config.json").is_file() and any(path.glob("*.safetensors"))


def find(name: str, models_dir: Path, hub_cache: Path) -> Path | None:
    """Return the safetensors folder that a name means, or None.

    A path; else org/repo in the models folder, or in the cache that other programs use.
    """
    path = existing(name)
    if path and is_checkpoint(path):
        return path
    if not _REPO.fullmatch(name) or ".." in name:
        return None
    if is_checkpoint(models_dir / name):
        return models_dir / name
    return _cached(hub_cache / f"models--{name.replace('/', '--')}")


def installed(models_dir: Path, hub_cache: Path) -> list[tuple[str, int]]:
    """Return the safetensors folders that `find` knows by a name: (name, bytes), sorted."""
    found = {
        f"{path.parent.name}/{path.name}": path
        for path in models_dir.glob("*/*")
        if is_checkpoint(path)
    }
    for repo in hub_cache.glob("models--*--*"):
        name = "/".join(repo.name.removeprefix("models--").split("--", 1))
        if (snapshot := _cached(repo)) and _REPO.fullmatch(name):
            found.setdefault(name, snapshot)
    return sorted(
        (name, sum(file.stat().st_size for file in path.glob("*.safetensors")))
        for name, path in found.items()
    )


def _cached(repo: Path) -> Path | None:
    """Return the snapshot that the branch `main` stood at when it was downloaded."""
    try:
        commit = (repo / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    snapshot = repo / "snapshots" / commit
    whole = re.fullmatch("[0-9a-f]{40}", commit) and is_checkpoint(snapshot)
    return snapshot if whole else None

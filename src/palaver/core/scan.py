"""Finds the files of a folder that each end in one constant, without importing them."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any


@cache
def names(package: str) -> tuple[str, ...]:
    """Return the module names in `package`, sorted; modules that begin with `_` are helpers."""
    folder = importlib.import_module(package)
    found = (m.name for m in pkgutil.iter_modules(folder.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load(package: str, name: str, constant: str) -> Any:
    """Import one module of `package` and return its constant.

    Raises KeyError for a name that the folder does not hold.
    """
    if name not in names(package):
        raise KeyError(name)
    return getattr(importlib.import_module(f"{package}.{name}"), constant)

"""The tiny model that ships with palaver, and the program that trains it.

At run time only `path` is used; everything else needs the `train` extra.
"""

from __future__ import annotations

from pathlib import Path


def path() -> Path:
    """Return where the model's file lies."""
    return Path(__file__).parent / "palaver-tiny.gguf"

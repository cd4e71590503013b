"""The sampling that a model itself asks for, as its files say it."""

from __future__ import annotations

import math
from collections.abc import Mapping

# Our names, those of generation_config.json (transformers) and of GGUF (its general.sampling.*).
_NAMES = {
    "temperature": ("temperature", "temp"),
    "top_k": ("top_k", "top_k"),
    "top_p": ("top_p", "top_p"),
    "min_p": ("min_p", "min_p"),
    "repeat_penalty": ("repetition_penalty", "penalty_repeat"),
}
_CHANCES = ("top_p", "min_p")


def of_generation_config(said: Mapping[str, object]) -> dict[str, float]:
    """Read generation_config.json; by the names of `palaver.core.generation.Sampling`."""
    return _read({name: said.get(theirs) for name, (theirs, _) in _NAMES.items()})


def of_gguf(said: Mapping[str, object]) -> dict[str, float]:
    """Read a GGUF's metadata; by the names of `palaver.core.generation.Sampling`."""
    return _read({name: said.get(f"general.sampling.{g}") for name, (_, g) in _NAMES.items()})


def _read(said: Mapping[str, object]) -> dict[str, float]:
    """Take what is a number that can be meant; the rest is as if it were not there."""
    found: dict[str, float] = {}
    for name, value in said.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not 0 <= value < math.inf or (name in _CHANCES and value > 1):
            continue
        # A file has 0.7 in 32 bits, and it is 0.7 that was meant.
        found[name] = int(value) if name == "top_k" else float(f"{value:.7g}")
    return found

"""Sizes as people read them."""

from __future__ import annotations

_UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def readable(count: int) -> str:
    """Write a number of bytes in decimal units, to three digits."""
    found = next((pair for pair in _UNITS if count >= pair[1]), None)
    if found is None:
        return f"{count} bytes"
    unit, width = found
    value = count / width
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"

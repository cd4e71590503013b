"""Sizes as people read them."""

from __future__ import annotations

_UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def readable(count: int) -> str:
    """Write a number of bytes in decimal units, to three digits."""
    if count < 1000:
        return f"{count} bytes"
    rounded = float(f"{count:.3g}")  # first of all: 999,600 is 1.00 MB, not 1000 kB
    unit, width = next(pair for pair in _UNITS if rounded >= pair[1])
    value = rounded / width
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"

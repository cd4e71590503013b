"""Small helpers for what commands say and are told."""

from __future__ import annotations

from palaver.core.errors import UserError

_MOST = 1_000_000_000  # more is a slip of the hand, and too much for SQLite further on


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def again_in(why: str, left: int) -> str:
    """Say what is waited for before something is tried again, and how long."""
    return f"{why}; again in {left} s" if left else f"{why}; asking again"


def rate(tokens: int, seconds_: float) -> str:
    """Write a speed in tokens a second."""
    return f"{tokens / seconds_:.1f} tokens/s" if seconds_ > 0 else "not measured"


def seconds(value: float) -> str:
    """Write a duration so that it can be read at a glance."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min"


def whole_number(text: str, usage: str) -> int:
    """Read a number of at least 1; raises UserError with the command's usage."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST)) and int(text)):
        raise UserError(f"{text[:40]!r} is not a number from 1 to {_MOST}", fix=f"usage: {usage}")
    return min(int(text), _MOST)

"""Small helpers for what commands say and are told."""

from __future__ import annotations

from palaver.core.errors import UserError


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def rate(tokens: int, seconds: float) -> str:
    """Write a speed in tokens a second."""
    return f"{tokens / seconds:.1f} tokens/s" if seconds > 0 else "not measured"


def whole_number(text: str, usage: str) -> int:
    """Read a number of at least 1; raises UserError with the command's usage."""
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{text!r} is not a number of at least 1", fix=f"usage: {usage}")
    return int(text)

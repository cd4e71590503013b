"""How many cells a text takes on a terminal.

Terminals disagree about emoji sequences: one shows a family in two cells, another its four
members in eight. Rows are therefore wrapped by `most`, which no terminal exceeds, so that a row
never wraps by itself and the rows to erase on a repaint are known. Columns of a table are padded
by `likely`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from itertools import pairwise

_VS16 = "\ufe0f"
_ZWJ = "\u200d"
_MODIFIERS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


@cache
def _wcwidth() -> Callable[[str], int]:
    from wcwidth import wcwidth  # prompt_toolkit brings it; 30 ms, unless it is there

    return wcwidth


@cache
def _wcswidth() -> Callable[[str], int]:
    from wcwidth import wcswidth

    return wcswidth


@lru_cache(maxsize=8192)
def of(char: str) -> int:
    """Return the cells of one character: 0, 1 or 2."""
    return max(0, _wcwidth()(char))


def most(text: str) -> int:
    """Return the cells that `text` takes on the terminal that gives it most."""
    if text.isascii():
        return len(text)
    total = sum(map(of, text))
    if _VS16 in text:  # turns a narrow symbol into a wide one
        total += sum(of(before) == 1 for before, at in pairwise(text) if at == _VS16)
    return total


def likely(text: str) -> int:
    """Return the cells that `text` takes on a terminal that knows emoji sequences."""
    if text.isascii():
        return len(text)
    return max(0, _wcswidth()(text))


def sticks(char: str, before: str) -> bool:
    """Tell whether `char` belongs to the same glyph as the character before it."""
    return before == _ZWJ or of(char) == 0 or char in _MODIFIERS


def split(text: str, cells: int) -> int:
    """Return where to cut `text` so that the part before takes at most `cells`, at least one char.

    A glyph made of several characters is not cut, unless it is wider than `cells` by itself.
    """
    if text.isascii():
        return max(1, cells)
    used, glyph, before = 0, 0, ""
    for at, char in enumerate(text):
        if not (before and sticks(char, before)):
            glyph = at
        used += 1 if char == _VS16 and of(before or "a") == 1 else of(char)
        if used > cells:
            return glyph or max(1, at)
        before = char
    return len(text)

"""Follows text of users, tools and files through a template by marks inside control tokens.

A mark is a character that stands nowhere else. It has no case, is no white space and is
printable, so a template's `trim`, `upper` or Python's repr leave it where it is. Where a text
of a user spells a control token, a mark goes behind its first character; so a template that
trims, splits, joins or upper-cases it takes the mark along.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from palaver.formats._tokens import ControlTokens

# Egyptian hieroglyphs: printable, caseless letters that hardly a text holds
_MARKS = [chr(c) for c in range(0x13000, 0x1342F)] + [chr(c) for c in range(0xF0000, 0xFFFFE)]


def pick(texts: Iterable[str], count: int) -> list[str]:
    """Return `count` characters that stand in none of `texts`."""
    used: set[str] = set()
    for text in texts:
        if not text.isascii():
            used.update(text)
    return [mark for mark in _MARKS if mark not in used][:count]


def marked(text: str, control: ControlTokens, mark: str, *, edges: bool = False) -> str:
    """Put `mark` inside every control token of `text` (around those of one character).

    With `edges` also where what stands before or behind the text may complete a token.
    """
    places: set[int] = set()
    for start, end in control.find(text):
        places.update((start + 1, end - 1) if end - start > 1 else (start, end))
    if edges:
        bare = text.rstrip()  # a template may trim the text before it goes on
        if control.begins(bare):
            places.add(len(bare))
        if control.ends(text.lstrip()):
            places.add(len(text) - len(text.lstrip()))
    return _insert(text, sorted(places), mark)


def parted(text: str, mark: str) -> str:
    """Put `mark` before, between and behind all characters; an empty text stays empty."""
    return f"{mark}{mark.join(text)}{mark}" if text else ""


def spots(text: str, mark: str) -> tuple[str, frozenset[int]]:
    """Take the marks out; return the text and the places, as indices into it."""
    found = text.split(mark)
    places, at = [], 0
    for piece in found[:-1]:
        at += len(piece)
        places.append(at)
    return "".join(found), frozenset(places)


def unescaped(text: str, mark: str, plain: str) -> str:
    """Write marks as themselves where a template has escaped them as JSON's ASCII form.

    `plain` is the text without marks: what stands there already is no mark.
    """
    form = "".join(f"\\u{unit:04x}" for unit in _units(mark))
    return text if form in plain else text.replace(form, mark)


def escaped(text: str, mark: str) -> bool:
    """Say whether a template has written `mark` in an escaped form, where it is lost."""
    forms = (
        "".join(f"\\u{unit:04x}" for unit in _units(mark)),
        f"\\u{ord(mark):08x}",
        "".join(f"%{byte:02x}" for byte in mark.encode()),
        "".join(f"\\x{byte:02x}" for byte in mark.encode()),
    )
    folded = text.lower()
    return any(form in folded for form in forms)


def _units(mark: str) -> tuple[int, ...]:
    return struct.unpack(f">{len(mark.encode('utf-16-be')) // 2}H", mark.encode("utf-16-be"))


def split_by(
    text: str, control: ControlTokens, places: frozenset[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Part the control tokens of `text` into those with a mark inside and those without."""
    inside: list[tuple[int, int]] = []
    without: list[tuple[int, int]] = []
    for start, end in control.find(text):
        if end - start == 1:
            hit = start in places and end in places
        else:
            hit = any(spot in places for spot in range(start + 1, end))
        (inside if hit else without).append((start, end))
    return inside, without


def merge(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join ranges that overlap; ascending and disjoint."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if out and start < out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end)
        else:
            out.append((start, end))
    return tuple(out)


def _insert(text: str, places: list[int], mark: str) -> str:
    out, last = [], 0
    for place in places:
        out.append(text[last:place])
        last = place
    return mark.join([*out, text[last:]])

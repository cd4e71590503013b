"""How users say things: patterns per intent, with alternatives and slots, read from `phrases/`.

`[a|b|]` picks one alternative, `<piece>` stands for a line of `macros.txt`, `{name}` is a slot.
A pattern that starts with `!` is an imperative and may take a prefix such as "can you ".
"""

from __future__ import annotations

import random
import re
import zlib
from functools import cache
from pathlib import Path

PHRASES = Path(__file__).parent / "phrases"
_MACRO = re.compile(r"<(\w+)>")


def _lines(name: str) -> list[str]:
    text = (PHRASES / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("# ")]


_PIECES = dict(line.split(" = ", 1) for line in _lines("macros.txt"))


def _expand(line: str) -> str:
    while found := _MACRO.search(line):
        line = line[: found.start()] + _PIECES[found[1]] + line[found.end() :]
    return line


def sections(name: str) -> dict[str, tuple[str, ...]]:
    """Read a file of patterns: what follows each line `== title`."""
    out: dict[str, list[str]] = {}
    for line in _lines(name):
        if line.startswith("== "):
            out[line.removeprefix("== ")] = []
        else:
            out[next(reversed(out))].append(_expand(line))
    return {title: tuple(patterns) for title, patterns in out.items()}


CALLS = sections("calls.txt")
FIXED = sections("commands.txt")
PROMPTS = sections("chat.txt")
_OTHER = sections("other.txt")
TELL_NAME, REPEAT = _OTHER["name"], _OTHER["repeat"]
IMPOSSIBLE, SCOPE = _OTHER["impossible"], _OTHER["scope"]
_FRAMES = sections("frames.txt")
PREFIXES, SUFFIXES, QUESTION_LEADS = _FRAMES["prefix"], _FRAMES["suffix"], _FRAMES["lead"]
BARRED = frozenset(map(int, _lines("barred.txt")))


_TOKEN = re.compile(r"[\[\]|]|[^\[\]|]+")


@cache
def parse(pattern: str) -> tuple[object, ...]:
    """Parse a pattern into a tuple of strings and lists of alternatives (nested)."""
    stack: list[list[list[object]]] = [[[]]]
    for piece in _TOKEN.findall(pattern):
        if piece == "[":
            stack.append([[]])
        elif piece == "|" and len(stack) > 1:
            stack[-1].append([])
        elif piece == "]":
            choices = stack.pop()
            stack[-1][-1].append([tuple(c) for c in choices])
        else:
            stack[-1][-1].append(piece)
    if len(stack) != 1:
        raise ValueError(f"unbalanced brackets in {pattern!r}")
    return tuple(stack[0][0])


def pick(rng: random.Random, node: tuple[object, ...]) -> str:
    """Choose alternatives at random and join them; slots stay as they are."""
    out: list[str] = []
    for part in node:
        if isinstance(part, list):
            out.append(pick(rng, part[int(rng.random() * len(part))]))
        else:
            out.append(str(part))
    return "".join(out)


def bare(text: str) -> int:
    """Return a checksum of a wording: without case and marks, and with every slot alike."""
    text = re.sub(r"\{\w+\}", "{}", text.lower().replace("'", ""))
    return zlib.crc32(re.sub(r"[^\w/{}]+", " ", text).strip().encode())


def phrase(rng: random.Random, patterns: tuple[str, ...]) -> str:
    """Write one request, slots unfilled, with a prefix, a suffix and an end mark at times.

    Wordings of the prompts that were written by hand are barred: they are for measuring alone.
    """
    while True:
        text = _phrase(rng, patterns)
        if bare(text) not in BARRED:
            return text


def _phrase(rng: random.Random, patterns: tuple[str, ...]) -> str:
    pattern = patterns[int(rng.random() * len(patterns))]
    imperative = pattern.startswith("!")
    text = pick(rng, parse(pattern.removeprefix("!"))).strip()
    prefix = suffix = ""
    if imperative and rng.random() < 0.5:
        prefix = pick(rng, parse(rng.choice(PREFIXES)))
    elif not imperative and rng.random() < 0.14 and text[0] not in "{$/>":
        prefix = pick(rng, parse(rng.choice(QUESTION_LEADS)))
    if rng.random() < (0.18 if imperative else 0.04):
        suffix = pick(rng, parse(rng.choice(SUFFIXES)))
    text = re.sub("  +", " ", prefix + text + suffix)
    question = text.startswith(("wh", "how", "is ", "are ", "do ", "does ", "can ", "could ", "wi"))
    end = rng.random()
    if end < 0.45:
        text += "?" if question else "."
    elif end < 0.48:
        text += "!"
    return text

"""Whether a text is one that a GBNF grammar makes: enough of it for what palaver writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

_TOKEN = re.compile(
    r'"(?P<text>(?:\\.|[^"\\])*)"|\[(?P<set>(?:\\.|[^\]\\])*)\]|(?P<rule>[a-z][a-z0-9-]*)'
    r"|(?P<times>[?*]|\{\d+(?:,\d+)?\})|(?P<mark>[()|])|\s+"
)
_ESCAPED = re.compile(r"\\(?:U([0-9A-F]{8})|x([0-9a-f]{2})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r"}


def _plain(text: str) -> list[str]:
    """Return the characters of a literal or a set."""

    def one(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else _CONTROL.get(found[3], found[3])

    return [_ESCAPED.sub(one, piece) for piece in re.findall(r"\\U.{8}|\\x..|\\.|.", text, re.S)]


class Grammar:
    """The rules of a grammar; `root` begins."""

    def __init__(self, text: str) -> None:
        self._rules: dict[str, Any] = {}
        for line in text.splitlines():
            name, _, body = line.partition(" ::= ")
            self._rules[name] = self._either(_tokens(body))
        self._text = ""
        self._ends = cache(self._found)

    def makes(self, text: str) -> bool:
        """Say whether the grammar makes exactly this text."""
        self._text, self._ends = text, cache(self._found)
        return len(text) in self._ends("root", 0)

    def _found(self, rule: str, at: int) -> frozenset[int]:
        return frozenset(self._walk(self._rules[rule], at))

    def _walk(self, node: Any, at: int) -> set[int]:
        kind, value, *more = node
        if kind == "text":
            return {at + len(value)} if self._text.startswith(value, at) else set()
        if kind == "set":
            fits = at < len(self._text) and bool(re.match(value, self._text[at], re.S))
            return {at + 1} if fits else set()
        if kind == "rule":
            return set(self._ends(value, at))
        if kind == "either":
            return set().union(*(self._walk(one, at) for one in value))
        if kind == "all":
            here = {at}
            for one in value:
                here = set().union(*(self._walk(one, place) for place in here))
            return here
        least, most = more
        reached, here, count = ({at} if least == 0 else set()), {at}, 0
        while here and (most is None or count < most):
            count += 1
            here = set().union(*(self._walk(value, place) for place in here)) - reached
            reached |= here if count >= least else set()
        return reached

    def _either(self, tokens: Iterator[tuple[str, str]]) -> Any:
        some: list[list[Any]] = [[]]
        for kind, value in tokens:
            if (kind, value) == ("mark", ")"):
                break
            if (kind, value) == ("mark", "|"):
                some.append([])
            elif kind == "mark":
                some[-1].append(self._either(tokens))
            elif kind == "times":
                least, most = {"?": (0, 1), "*": (0, None)}.get(value) or _range(value)
                some[-1].append(("times", some[-1].pop(), least, most))
            else:
                some[-1].append((kind, value))
        return ("either", [("all", one) for one in some])


def _range(text: str) -> tuple[int, int]:
    least, _, most = text[1:-1].partition(",")
    return int(least), int(most or least)


def _tokens(body: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(body):
        found = _TOKEN.match(body, at)
        assert found, body[at:]
        at = found.end()
        if found["text"] is not None:
            yield "text", "".join(_plain(found["text"]))
        elif found["set"] is not None:
            yield "set", _pattern(found["set"])
        elif found.lastgroup:
            yield found.lastgroup, found[found.lastgroup]


def _pattern(inside: str) -> str:
    """Return a set as a regular expression has it."""
    no = "^" if inside.startswith("^") else ""
    ranges = r"0-9|a-f|A-F|1-9|\\x00-\\x1f"
    pieces = re.findall(rf"{ranges}|\\U.{{8}}|\\.|.", inside.removeprefix("^"), re.S)
    known = [p if re.fullmatch(ranges, p) else re.escape("".join(_plain(p))) for p in pieces]
    return f"[{no}{''.join(known)}]"

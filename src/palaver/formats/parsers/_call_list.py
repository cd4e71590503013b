"""Reads calls that stand side by side: `[a, b]`, `a; b` or one alone."""

from __future__ import annotations

import re
from collections.abc import Callable

from palaver.core.events import CallDelta
from palaver.formats.parsers._base import match_end
from palaver.formats.parsers._dialect import Reader

_FAR = 256
_BETWEEN = re.compile(r"[\s,;]*")


class CallList:
    """Hands each call to the reader that `make` makes for its first character.

    A list that begins with `[` ends at `]` or at what `end` names, another one where something
    else than a call follows, which is not taken. `begins` are characters that begin a call;
    anything else within a list is a broken one.
    """

    def __init__(self, make: Callable[[str], Reader], *, begins: str = "{", end: str = "") -> None:
        self.done = False
        self._make = make
        self._begins = begins
        self._end = end
        self._listed = False
        self._first = True
        self._call: Reader | None = None

    def flow(self, text: str) -> CallDelta | None:
        """Take a piece that is arguments of one of the calls and nothing else."""
        return self._call.flow(text) if self._call is not None else None

    def read(self, text: str, at: int, *, last: bool = False) -> int:
        """Take text from `at` on, after which none comes if `last`; return up to where."""
        while at < len(text) and not self.done:
            before = at, self._call
            at = self._between(text, at) if self._call is None else self._inside(text, at, last)
            if (at, self._call) == before:
                break
        return at

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""
        if self._call is not None:
            self._call.cut_off(rest)

    def _inside(self, text: str, at: int, last: bool) -> int:
        assert self._call is not None
        at = self._call.read(text, at, last=last)
        if self._call.done:
            self._call = None
        return at

    def _between(self, text: str, at: int) -> int:
        kept = not self._listed and not self._first  # what separates calls may be text yet
        here = match_end(_BETWEEN, text, at, at + _FAR if kept else len(text))
        if kept and here - at == _FAR:
            self.done = True
            return at
        if here == len(text):
            return at if kept else here
        char = text[here]
        if char == "[":
            self._listed = True
            return here + 1
        if self._listed and char == "]":
            self.done = True
            return here + 1
        if self._end and len(text) - here < len(self._end) and self._end.startswith(text[here:]):
            return at if kept else here
        if self._end and text.startswith(self._end, here):
            self.done = True
            return here
        if self._listed or self._first or char in self._begins:
            self._first = False
            self._call = self._make(char)
            return here
        self.done = True
        return at

"""What parsers share: the feeding loop, and holding back what may be the start of a marker."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from palaver.core.events import ParserEvent, ReasoningDelta, TextDelta
from palaver.core.format import Parser

# Templates write some markers in pieces, `'<' + name + '>'`: a claim looks at the text
Claim = Callable[[str], bool]
BLANK = re.compile(r"\s*")


class Markers:
    """A set of marker texts that are looked for together."""

    def __init__(self, *texts: str) -> None:
        """Where two begin at one place the longer one counts."""
        ordered = sorted(texts, key=len, reverse=True)
        self._find = re.compile("|".join(map(re.escape, ordered)))
        self.may_begin = re.compile(f"[{re.escape(''.join({text[0] for text in texts}))}]").search
        self._starts = frozenset(text[:n] for text in ordered for n in range(1, len(text)))
        self._longest = len(ordered[0]) - 1

    def cut(self, text: str, at: int) -> tuple[int, int]:
        """Return (end of what is no marker, end of the marker) from `at` on.

        The two are equal where no marker is complete: then what follows may begin one.
        """
        first = self.may_begin(text, at)
        if not first:
            return len(text), len(text)
        at = first.start()
        found = self._find.search(text, at)
        if found:
            rest = len(text) - found.start()
            if rest <= self._longest and text[found.start() :] in self._starts:
                return found.start(), found.start()  # a longer one may be coming
            return found.span()
        for start in range(max(at, len(text) - self._longest), len(text)):
            if text[start:] in self._starts:
                return start, start
        return len(text), len(text)


def claim(*has: str, no: tuple[str, ...] = ()) -> Claim:
    """Make the test whether a template writes all of `has` and none of `no`."""
    return lambda template: all(p in template for p in has) and not any(p in template for p in no)


def starts(text: str, at: int, marker: str) -> bool | None:
    """Say whether `text` has `marker` at `at`; None where too little of it is there."""
    if text.startswith(marker, at):
        return True
    rest = len(text) - at
    return None if rest < len(marker) and text.startswith(marker[:rest], at) else False


def match_end(pattern: re.Pattern[str], text: str, at: int, stop: int = sys.maxsize) -> int:
    """Return where a match that begins at `at` ends; `at` where there is none."""
    found = pattern.match(text, at, stop)
    return found.end() if found else at


def blank_end(text: str, at: int) -> int:
    """Return where the white space that begins at `at` ends."""
    return match_end(BLANK, text, at)


class StepParser(ABC):
    """A parser as a chain of steps.

    A step reads `_text` from `_at` on, moves `_at` and may set the next `_step`. A step that
    moves nothing and stays waits for more text.
    """

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._out: list[ParserEvent] = []
        self._emit = self._out.append
        self._step: Callable[[], None]

    def feed(self, text: str) -> list[ParserEvent]:
        """Take more text; return what is certain now."""
        self._text = self._text[self._at :] + text if self._at < len(self._text) else text
        self._at = 0
        if text:
            self._step()  # most pieces take one step
            if self._at < len(self._text):
                self._run()
        return self._taken()

    def finish(self) -> list[ParserEvent]:
        """Say that the text is over; return the rest."""
        self._end(self._text[self._at :])
        self._text, self._at = "", 0
        return self._taken()

    def _run(self) -> None:
        while self._at < len(self._text):
            at, step = self._at, self._step
            step()
            if self._at == at and self._step == step:
                break

    @abstractmethod
    def _end(self, rest: str) -> None:
        """Write `rest`, which no step took, and what steps hold back."""

    def _taken(self) -> list[ParserEvent]:
        out = self._out[:]
        self._out.clear()
        return out

    def _say(self, text: str) -> None:
        if text:
            self._out.append(TextDelta(text))

    def _think(self, text: str) -> None:
        if text:
            self._out.append(ReasoningDelta(text))


def whole(parser: Parser, chunks: Iterable[str]) -> list[ParserEvent]:
    """Return all events of a text that comes in `chunks`."""
    return [event for chunk in chunks for event in parser.feed(chunk)] + parser.finish()

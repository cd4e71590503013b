"""Finds the lines of a hunk in those of a file: exactly, else ever more loosely.

The order is that of codex: as they are, without white space at the ends, without indentation,
with typographic dashes, quotes and spaces taken for those of ASCII. Source: seek_sequence.rs in
codex-rs/apply-patch (https://github.com/openai/codex).
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import nlargest

_ASCII = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    | dict.fromkeys(
        "\xa0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    )
)


def _plain(line: str) -> str:
    return line.translate(_ASCII).strip()


# What is compared, and how a match at that level is reported ("" for an exact one).
LEVELS: tuple[tuple[Callable[[str], str], str], ...] = (
    (str, ""),
    (str.rstrip, "ignoring white space at the ends of lines"),
    (str.strip, "ignoring indentation"),
    (_plain, "taking typographic characters for ASCII ones"),
)
_SIZE = array("I").itemsize
_NOWHERE = 2 ** (8 * _SIZE) - 1  # the number of a line that the file does not have
_WORD = re.compile(r"\w+")
_COMPARED, _CANDIDATES = 400, 200  # characters of a line, lines
_TELLING = 50  # a line that stands more often tells nothing of the place


class Haystack:
    """The lines of a file, indexed for finding runs of lines in them.

    At each level equal lines get one number; a run of lines is sought as a run of bytes, which
    takes linear time whatever the lines are.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._indexed: dict[int, tuple[dict[str, int], bytes]] = {}
        blank = next((i for i, line in enumerate(reversed(lines)) if line), len(lines))
        self._end = len(lines) - blank  # where the file ends, empty lines aside

    def find(
        self, pattern: list[str], start: int = 0, *, at_end: bool = False
    ) -> tuple[int, int] | None:
        """Return where `pattern` first stands, at or after `start`, and at which level.

        `at_end`: only at the file's end, empty lines there aside.
        """
        if at_end:
            start = max(start, self._end - len(pattern))
        for level in range(len(LEVELS)):
            for place in self.places(pattern, level, start):
                return place, level
        return None

    def places(self, pattern: list[str], level: int, start: int = 0) -> Iterator[int]:
        """Yield where `pattern`, not empty, stands at that level, in order."""
        numbers, packed = self._index(level)
        key = LEVELS[level][0]
        wanted = array("I", (numbers.get(key(line), _NOWHERE) for line in pattern)).tobytes()
        at = packed.find(wanted, start * _SIZE)
        while at >= 0:
            if at % _SIZE == 0:
                yield at // _SIZE
            at = packed.find(wanted, at + _SIZE - at % _SIZE)

    def nearest(self, pattern: list[str], start: int) -> int | None:
        """Return where the most lines of `pattern` stand as they do in it, None if none does.

        Of equally good places the first at or after `start` is taken, else the first.
        """
        where = self._where()
        votes: Counter[int] = Counter()
        for offset, line in enumerate(pattern):
            places = where.get(_plain(line), ())
            if line.strip() and len(places) <= _TELLING:
                votes.update(at - offset for at in places)
        if not votes:
            return self._alike(pattern)
        best = max(votes.values())
        return max(min((p for p in votes if votes[p] == best), key=lambda p: (p < start, p)), 0)

    def _alike(self, pattern: list[str]) -> int | None:
        """Return where a line stands that is nearly the longest of `pattern`."""
        import difflib

        where = self._where()
        longest = max(range(len(pattern)), key=lambda i: len(pattern[i]))
        wanted = _plain(pattern[longest])[:_COMPARED]
        words = set(_WORD.findall(wanted))

        def shared(line: str) -> int:
            return len(words.intersection(_WORD.findall(line[:_COMPARED])))

        # Comparing by characters is slow: only the lines with the most words in common.
        close = difflib.get_close_matches(wanted, nlargest(_CANDIDATES, where, key=shared), 1)
        return max(where[close[0]][0] - longest, 0) if close else None

    def _where(self) -> dict[str, list[int]]:
        """Return the places of each line as it is compared at the loosest level."""
        where: dict[str, list[int]] = {}
        for at, line in enumerate(self.lines):
            where.setdefault(_plain(line), []).append(at)
        return where

    def _index(self, level: int) -> tuple[dict[str, int], bytes]:
        if level not in self._indexed:
            key = LEVELS[level][0]
            numbers: dict[str, int] = {}
            packed = array("I", (numbers.setdefault(key(x), len(numbers)) for x in self.lines))
            self._indexed[level] = numbers, packed.tobytes()
        return self._indexed[level]

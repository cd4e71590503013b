"""Finds the lines of a hunk in those of a file: exactly, else ever more loosely.

The order is that of codex: as they are, without white space at the ends, without indentation,
with typographic dashes, quotes and spaces taken for those of ASCII. Source: seek_sequence.rs in
codex-rs/apply-patch (https://github.com/openai/codex).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

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
LOOSEST = len(LEVELS) - 1


class Haystack:
    """The lines of a file, indexed for finding runs of lines in them."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._indexed: dict[int, tuple[list[str], dict[str, list[int]]]] = {}

    def find(
        self, pattern: list[str], start: int = 0, *, at_end: bool = False
    ) -> tuple[int, int] | None:
        """Return where `pattern` first stands, at or after `start`, and at which level.

        `at_end`: only at the file's end, empty lines there aside.
        """
        for level in range(len(LEVELS)):
            for place in self.places(pattern, level, start):
                if not at_end or self._ends_file(place + len(pattern)):
                    return place, level
        return None

    def places(self, pattern: list[str], level: int, start: int = 0) -> Iterator[int]:
        """Yield where `pattern`, not empty, stands at that level, in order."""
        lines, where = self._index(level)
        wanted = [LEVELS[level][0](line) for line in pattern]
        # Only the places of its rarest line are tried: a file of equal lines costs no more.
        rarest = min(range(len(wanted)), key=lambda i: len(where.get(wanted[i], ())))
        for at in where.get(wanted[rarest], ()):
            first = at - rarest
            if first >= start and lines[first : first + len(wanted)] == wanted:
                yield first

    def nearest(self, pattern: list[str], start: int) -> int | None:
        """Return where the most lines of `pattern` stand as they do in it, None if none does.

        Of equally good places the first at or after `start` is taken, else the first.
        """
        _, where = self._index(LOOSEST)
        votes: Counter[int] = Counter()
        for offset, line in enumerate(pattern):
            plain = _plain(line)
            if plain:
                votes.update(at - offset for at in where.get(plain, ()))
        if not votes:
            return self._alike(pattern)
        best = max(votes.values())
        return max(min((p for p in votes if votes[p] == best), key=lambda p: (p < start, p)), 0)

    def _alike(self, pattern: list[str]) -> int | None:
        """Return where a line stands that is nearly the longest of `pattern`."""
        import difflib

        _, where = self._index(LOOSEST)
        longest = max(range(len(pattern)), key=lambda i: len(pattern[i]))
        candidates = [line for line in list(where)[:5_000] if line]
        close = difflib.get_close_matches(_plain(pattern[longest])[:400], candidates, 1)
        return max(where[close[0]][0] - longest, 0) if close else None

    def _ends_file(self, end: int) -> bool:
        return not any(self.lines[end:])

    def _index(self, level: int) -> tuple[list[str], dict[str, list[int]]]:
        if level not in self._indexed:
            key = LEVELS[level][0]
            lines = [key(line) for line in self.lines]
            where: dict[str, list[int]] = {}
            for at, line in enumerate(lines):
                where.setdefault(line, []).append(at)
            self._indexed[level] = lines, where
        return self._indexed[level]

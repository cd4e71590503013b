"""The unified diff of a plan; pure, and not escaped for a terminal."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from palaver.tools.patch.planning import Plan

_MOST_EDITS = 500  # within a stretch; beyond that all of it is shown as replaced
_NO_NEWLINE = "\n\\ No newline at end of file"


def unified(plan: Plan) -> str:
    """Return what the plan changes, whole, as `diff -u` writes it; "" if nothing."""
    by_path = {change.path: change for change in plan.changes}
    moved = {change.source for change in plan.changes if change.source}
    parts: list[str] = []
    for change in sorted(plan.changes, key=lambda c: c.path):
        if change.path in moved:
            continue  # it is shown where it went
        if change.source is None:
            parts.append(difference(change.path, change.path, change.old, change.new))
        else:
            if change.old is not None:
                parts.append(difference(change.path, change.path, change.old, None))
            parts.append(f"rename from {change.source}\nrename to {change.path}\n")
            before = by_path[change.source].old
            parts.append(difference(change.source, change.path, before, change.new))
    return "".join(parts)


def difference(before: str, after: str, old: bytes | None, new: bytes | None) -> str:
    """Return what happens to one file, named `before` and `after`; None where there is none."""
    before = f"a/{before}" if old is not None else "/dev/null"
    after = f"b/{after}" if new is not None else "/dev/null"
    try:
        old_lines, new_lines = _lines(old), _lines(new)
    except UnicodeDecodeError:
        if old == new:
            return ""
        sizes = f"{len(old or b'')} -> {len(new or b'')} bytes"
        return f"Binary files {before} and {after} differ ({sizes})\n"
    if old == new:
        return ""
    hunks = [
        line
        for group in _Matcher(old_lines, new_lines).get_grouped_opcodes(3)
        for line in _hunk(group, old_lines, new_lines)
    ]
    return "".join(f"{line}\n" for line in [f"--- {before}", f"+++ {after}", *hunks])


def _hunk(group: list[tuple[str, int, int, int, int]], old: list[str], new: list[str]) -> list[str]:
    first, last = group[0], group[-1]
    lines = [f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"]
    for tag, i, j, k, m in group:
        if tag == "equal":
            lines += [f" {line}" for line in old[i:j]]
        else:
            lines += [f"-{line}" for line in old[i:j]] + [f"+{line}" for line in new[k:m]]
    return lines


def _range(start: int, end: int) -> str:
    """Write lines as a diff counts them: from 1, an empty range by the line before it."""
    count = end - start
    return str(end) if count == 1 else f"{start + 1 if count else start},{count}"


class _Matcher(difflib.SequenceMatcher[str]):
    """Finds what two texts share by the lines that stand once in both (patience diff), and looks
    closely only at the little between them: difflib alone takes minutes for large files."""

    def __init__(self, old: list[str], new: list[str]) -> None:
        super().__init__(None, [], [])
        self._old, self._new = old, new

    def get_matching_blocks(self) -> list[difflib.Match]:
        """Return the runs of lines that are in both, in order."""
        old, new = self._old, self._new
        pairs: list[tuple[int, int]] = []
        i = k = 0
        for j, m in [*_anchors(old, new), (len(old), len(new))]:
            pairs += _between(old, new, (i, j), (k, m))
            if j < len(old):
                pairs.append((j, m))
            i, k = j + 1, m + 1
        blocks: list[difflib.Match] = []
        for i, k in pairs:
            if (
                blocks
                and blocks[-1].a + blocks[-1].size == i
                and blocks[-1].b + blocks[-1].size == k
            ):
                blocks[-1] = blocks[-1]._replace(size=blocks[-1].size + 1)
            else:
                blocks.append(difflib.Match(i, k, 1))
        return [*blocks, difflib.Match(len(old), len(new), 0)]


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of lines that stand once in both, as many as keep their order."""
    once_old, once_new = _once(old), _once(new)
    pairs = [(i, once_new[line]) for line, i in once_old.items() if line in once_new]
    tops: list[int] = []  # the lowest end of an increasing run, by its length
    at: list[int] = []
    before: list[int] = []
    for number, (_, k) in enumerate(pairs):
        length = bisect_left(tops, k)
        before.append(at[length - 1] if length else -1)
        tops[length : length + 1], at[length : length + 1] = [k], [number]
    kept: list[tuple[int, int]] = []
    number = at[-1] if at else -1
    while number >= 0:
        kept.append(pairs[number])
        number = before[number]
    return kept[::-1]


def _once(lines: Sequence[str]) -> dict[str, int]:
    """Return the lines that stand once, with their places, in order."""
    counts = Counter(lines)
    return {line: i for i, line in enumerate(lines) if counts[line] == 1}


def _between(
    old: Sequence[str], new: Sequence[str], a: tuple[int, int], b: tuple[int, int]
) -> list[tuple[int, int]]:
    """Pair the equal lines of two stretches that have no line in common that stands once."""
    (i, j), (k, m) = a, b
    head: list[tuple[int, int]] = []
    while i < j and k < m and old[i] == new[k]:
        head.append((i, k))
        i, k = i + 1, k + 1
    tail: list[tuple[int, int]] = []
    while i < j and k < m and old[j - 1] == new[m - 1]:
        j, m = j - 1, m - 1
        tail.append((j, m))
    inner = _shortest(old[i:j], new[k:m])
    return head + [(i + x, k + y) for x, y in inner] + tail[::-1]


def _shortest(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Pair the equal lines so that the fewest are left; none where that would take too long.

    Source: Myers, An O(ND) Difference Algorithm and Its Variations (1986).
    """
    ends = {1: 0}  # how far into `old` each diagonal was followed
    trail: list[dict[int, int]] = []
    for edits in range(min(len(old) + len(new), _MOST_EDITS) + 1):
        trail.append(dict(ends))
        for diagonal in range(-edits, edits + 1, 2):
            x = ends[_came_from(ends, diagonal, edits)] + (not _is_down(ends, diagonal, edits))
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y = x + 1, y + 1
            ends[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _followed_back(trail, len(old), len(new))
    return []


def _followed_back(trail: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        came_from = _came_from(trail[edits], x - y, edits)
        start = trail[edits][came_from]
        while x > start and y > start - came_from:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = start, start - came_from
    return pairs[::-1]


def _is_down(ends: dict[int, int], diagonal: int, edits: int) -> bool:
    """Tell whether a diagonal is best reached by a line that is added, not by one removed."""
    return diagonal == -edits or (diagonal != edits and ends[diagonal - 1] < ends[diagonal + 1])


def _came_from(ends: dict[int, int], diagonal: int, edits: int) -> int:
    return diagonal + 1 if _is_down(ends, diagonal, edits) else diagonal - 1


def _lines(data: bytes | None) -> list[str]:
    lines = (data or b"").decode().split("\n")
    if lines[-1]:
        lines[-1] += _NO_NEWLINE
    else:
        del lines[-1]
    return lines

"""Lines of the program's own broken at words, so that a narrow terminal breaks none in two."""

from __future__ import annotations

import re

from palaver.terminal import width
from palaver.terminal.wrap import Wrapper

_COLUMNS = re.compile(r"(.*[^\s.!?] {2,})(?=\S)")  # all of a line but its last column
_INDENT = re.compile(r" *")
_STEP = "    "


def folded(text: str, columns: int, first: str = "", rest: str = "") -> str:
    """Return `text` in rows of at most `columns` cells; a word that is longer stays whole.

    Where a line has columns, rows that go on begin below the last one; where that leaves less
    than half of the row, the last column stands below the others. `first` and `rest` stand
    before the first row of all, and before the others.
    """
    rows: list[str] = []
    for line in text.split("\n"):
        rows += _rows(line, columns, rest if rows else first, rest)
    return "\n".join(rows)


def _rows(line: str, columns: int, first: str, rest: str) -> list[str]:
    if width.most(first + line) <= columns:
        return [first + line]
    found = _COLUMNS.match(line)
    if found is None:
        indent = _INDENT.match(line)[0]  # type: ignore[index]  # it matches everything
        indent = indent if 2 * len(indent) <= columns else _STEP
        return _wrapped(line.lstrip(" "), columns, first + indent, rest + indent)
    left = width.most(found[1])
    if 2 * left <= columns:
        return _wrapped(line[found.end() :], columns, first + found[1], rest + " " * left)
    above = _rows(found[1].rstrip(" "), columns, first, rest)
    return above + _wrapped(line[found.end() :], columns, rest + _STEP, rest + _STEP)


def _wrapped(text: str, columns: int, first: str, rest: str) -> list[str]:
    wrapper = Wrapper(columns, [(first, 0)], [(rest, 0)], cut=False)
    wrapper.feed(text)
    wrapper.finish()
    return ["".join(piece for piece, _ in row).rstrip(" ") for row in wrapper.rows]

"""Lines of the program's own broken at words, so that a narrow terminal breaks none in two."""

from __future__ import annotations

import re

from palaver.terminal import width
from palaver.terminal.escape import visible
from palaver.terminal.wrap import Wrapper

_COLUMNS = re.compile(r"(.*[^\s.!?] {2,})(?=\S)")  # all of a line but its last column
_GAP = re.compile(r"(?<=\S) {2,}")
_INDENT = re.compile(r" *")
_STEP = "    "
_LONGEST = 400  # characters of a text of which only the beginning is shown


def folded(text: str, columns: int, first: str = "", rest: str = "") -> str:
    """Return `text` in rows of at most `columns` cells; a word that is longer stays whole.

    `first` and `rest` stand before the first row of all, and before the others.
    """
    rows: list[str] = []
    for line in text.split("\n"):
        rows += _rows(line, columns, rest if rows else first, rest)
    return "\n".join(rows)


def folded_table(text: str, columns: int) -> str:
    """Return lines that have columns, two blanks or more apart, in rows as `folded` does.

    Rows that go on begin below the last column. Where that leaves less than half of the row, the
    columns move together, or the last one stands below the others.
    """
    return "\n".join(row for line in text.split("\n") for row in _line(line, columns))


def beginning(text: str, columns: int) -> str:
    """Return what of an untrusted text goes into one row of `columns` cells, safe to show."""
    line = visible(" ".join(text[:_LONGEST].split()), newlines=False)
    if width.most(line) <= columns:
        return line
    kept = line[: width.split(line, columns - 1)]
    return (kept if width.most(kept) < columns else "") + "…"


def _line(line: str, columns: int) -> list[str]:
    found = None if width.most(line) <= columns else _COLUMNS.match(line)
    if found is None:
        return _rows(line, columns, "", "")
    left, last = width.most(found[1]), line[found.end() :]
    if 2 * left <= columns:
        return _wrapped(last, columns, found[1], " " * left)
    head = _GAP.sub("  ", found[1])
    if width.most(head + last) <= columns:
        return [head + last]
    return _line(head.rstrip(" "), columns) + _wrapped(last, columns, _STEP, _STEP)


def _rows(line: str, columns: int, first: str, rest: str) -> list[str]:
    if width.most(first + line) <= columns:
        return [first + line]
    indent = _INDENT.match(line)[0]  # type: ignore[index]  # it matches everything
    indent = indent if 2 * len(indent) <= columns else _STEP
    return _wrapped(line.lstrip(" "), columns, first + indent, rest + indent)


def _wrapped(text: str, columns: int, first: str, rest: str) -> list[str]:
    wrapper = Wrapper(columns, [(first, 0)], [(rest, 0)], cut=False)
    wrapper.feed(text)
    wrapper.finish()
    return ["".join(piece for piece, _ in row).rstrip(" ") for row in wrapper.rows]

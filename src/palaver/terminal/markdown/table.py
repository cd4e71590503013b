"""Tables: splitting their lines, fitting their columns, laying out their rows.

Column widths are decided from the first rows (`SAMPLE`) and then stay, so that each row that
comes later is written once. Cells that don't fit wrap; where the columns have no room at all
(20 cells wide), a row becomes a list of its cells, each after its column's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from palaver.terminal import width as cells
from palaver.terminal.style import BOLD, MARKER, RULE, Run
from palaver.terminal.wrap import Wrapper

SAMPLE = 20  # rows that decide the widths
SAMPLE_CHARS = 8000  # or as many characters, whichever comes first
_NARROWEST = 5
_SPLIT = re.compile(r"(?<!\\)\|")
_DELIMITER = re.compile(r"\|? *:?-+:? *(?:\| *:?-+:? *)*+\|? *\Z")
Cell = list[Run]


def split_row(line: str) -> list[str]:
    r"""Return the cells of a line; a `\|` is part of its cell."""
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _SPLIT.split(line)]


def alignments(line: str) -> list[str] | None:
    """Return "<", ">" or "^" for each column of a delimiter row, None if it is not one."""
    if ("|" not in line and ":" not in line) or not _DELIMITER.match(line):
        return None
    marks = {(True, True): "^", (False, True): ">"}
    return [marks.get((c[:1] == ":", c[-1:] == ":"), "<") for c in split_row(line)]


class Table:
    """A table under way: the rows that decide the widths, then the widths."""

    def __init__(self, head: list[Cell], aligns: list[str]) -> None:
        self.head, self.aligns = head, aligns
        self.rows: list[list[Cell]] = []
        self.chars = 0
        self.natural: list[int] | None = None  # widths without regard to the room

    def fork(self) -> Table:
        """Return a copy that can go on by itself."""
        new = Table(self.head, self.aligns)
        new.rows, new.chars, new.natural = list(self.rows), self.chars, self.natural
        return new

    def add(self, row: list[Cell], room: int) -> list[list[Run]]:
        """Add a row; return the lines that are now certain."""
        if self.natural is not None:
            return self._lay(row, room)
        self.rows.append(row)
        self.chars += sum(len(text) for cell in row for text, _ in cell)
        if len(self.rows) >= SAMPLE or self.chars >= SAMPLE_CHARS:
            return self.settle(room)
        return []

    def settle(self, room: int) -> list[list[Run]]:
        """Decide the widths, if they are not; return the lines that waited for it."""
        if self.natural is not None:
            return []
        self.natural = [
            max(1, *(_longest(row[at]) for row in (self.head, *self.rows)))
            for at in range(len(self.head))
        ]
        lines: list[list[Run]] = []
        widths = fit(self.natural, room)
        if widths:
            lines += self._lay([[(t, s | BOLD) for t, s in cell] for cell in self.head], room)
            lines.append([("─┼─".join("─" * w for w in widths), RULE)])
        elif not self.rows:
            lines += self._stack(self.head, room, names=False)
        for row in self.rows:
            lines += self._lay(row, room)
        self.rows = []
        return lines

    def _lay(self, row: list[Cell], room: int) -> list[list[Run]]:
        widths = fit(self.natural or [], room)
        if not widths:
            return self._stack(row, room, names=True)
        columns: list[list[list[Run]]] = []
        for cell, size in zip(row, widths, strict=True):
            wrapper = Wrapper(size)
            for text, style in cell:
                wrapper.feed(text, style)
            wrapper.finish()
            columns.append(wrapper.rows)
        lines: list[list[Run]] = []
        spare = room - sum(widths) - 3 * (len(widths) - 1)
        for at in range(max(1, *map(len, columns))):
            parts = [column[at] if at < len(column) else [] for column in columns]
            lines.append(self._join(parts, widths, spare))
        return lines

    def _join(self, parts: list[list[Run]], widths: list[int], spare: int) -> list[Run]:
        texts = ["".join(text for text, _ in part) for part in parts]
        # Pad by what is likely, if the row has room for the terminal that needs most.
        doubt = sum(cells.most(text) - cells.likely(text) for text in texts)
        measure = cells.likely if doubt <= spare else cells.most
        line: list[Run] = []
        for at, (part, size) in enumerate(zip(parts, widths, strict=True)):
            pad = max(0, size - measure(texts[at]))
            left = {"<": 0, ">": pad, "^": pad // 2}[self.aligns[at]] if part else 0
            last = at == len(widths) - 1
            line += [(" " * left, 0)] if left else []
            line += part
            line += [(" " * (pad - left), 0)] if pad > left and not last else []
            line += [] if last else [(" │ ", RULE)]
        return line

    def _stack(self, row: list[Cell], room: int, *, names: bool) -> list[list[Run]]:
        lines: list[list[Run]] = []
        for name, cell in zip(self.head, row, strict=True):
            wrapper = Wrapper(room, (), [("  ", 0)] if room > 8 else ())
            for text, style in [*name, (": ", 0)] if names and name else []:
                wrapper.feed(text, style | MARKER)
            for text, style in cell:
                wrapper.feed(text, style)
            wrapper.finish()
            lines += wrapper.rows
        lines.append([("─" * min(room, 20), RULE)])
        return lines


def _longest(cell: Cell) -> int:
    """Return the cells of the longest line of a table's cell."""
    return max(map(cells.most, "".join(text for text, _ in cell).split("\n")))


def fit(natural: Sequence[int], room: int) -> list[int] | None:
    """Return widths for columns that would like `natural`, None if there is no room for them."""
    room -= 3 * (len(natural) - 1)
    if sum(natural) <= room:
        return list(natural)
    if room < sum(min(size, _NARROWEST) for size in natural):
        return None
    # The widest give way first: all get at most `limit`.
    low, high = _NARROWEST, max(natural)
    while low < high:
        limit = (low + high + 1) // 2
        if sum(min(size, limit) for size in natural) <= room:
            low = limit
        else:
            high = limit - 1
    widths = [min(size, low) for size in natural]
    left = room - sum(widths)
    for at, size in enumerate(natural):
        if left and widths[at] < size:
            widths[at] += 1
            left -= 1
    return widths

"""Reads the rows out of an SQLite file's pages, whatever else of it is broken.

Nothing is trusted but the page that is being looked at: header, schema and the pages above may
all be gone. A row that does not parse is left out. Format: sqlite.org/fileformat2.html
(sections 1.6 b-tree pages, 2.1 records, 4.1 the write-ahead log).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

Value = int | float | str | bytes | None
LEAF_TABLE, LEAF_INDEX, INNER_INDEX = 0x0D, 0x0A, 0x02
_PAYLOAD_LIMIT = 1 << 30
_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


class Pages:
    """The pages of a database file, with those of its log over them."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises OSError."""
        self._data = path.read_bytes()
        size = struct.unpack_from(">H", self._data, 16)[0] if len(self._data) >= 100 else 0
        size = 65536 if size == 1 else size
        self.size = size if size >= 512 and size & (size - 1) == 0 else 4096
        self._newer: dict[int, bytes] = {}
        log = path.with_name(path.name + "-wal")
        if log.exists():
            self._read_log(log.read_bytes())
        self.count = max(len(self._data) // self.size, max(self._newer, default=0))

    def _read_log(self, log: bytes) -> None:
        """Take the committed frames of this turn of the log: those that bear its salt."""
        if len(log) < 32 or struct.unpack_from(">I", log, 8)[0] != self.size:
            return
        salt, step = log[16:24], 24 + self.size
        waiting: dict[int, bytes] = {}
        for start in range(32, len(log) - step + 1, step):
            number, committed = struct.unpack_from(">II", log, start)
            if log[start + 8 : start + 16] != salt:
                break
            waiting[number] = log[start + 24 : start + step]
            if committed:
                self._newer.update(waiting)
                waiting = {}

    def page(self, number: int) -> bytes:
        """Return a page's bytes, counted from 1; empty if there is no such page."""
        if number in self._newer:
            return self._newer[number]
        return self._data[(number - 1) * self.size : number * self.size]

    def rows(self) -> Iterator[tuple[int, int, list[Value]]]:
        """Give each row that can be read: kind of page, rowid (0 in an index), columns."""
        for number in range(1, self.count + 1):
            page = self.page(number)
            start = 100 if number == 1 else 0
            if len(page) < self.size or page[start] not in (LEAF_TABLE, LEAF_INDEX, INNER_INDEX):
                continue
            kind = page[start]
            cells = struct.unpack_from(">H", page, start + 3)[0]
            pointers = start + (12 if kind == INNER_INDEX else 8)
            for i in range(min(cells, (self.size - pointers) // 2)):
                try:
                    place = struct.unpack_from(">H", page, pointers + 2 * i)[0]
                    rowid, columns = self._cell(page, kind, place)
                except (IndexError, ValueError, struct.error):
                    continue
                yield kind, rowid, columns

    def _cell(self, page: bytes, kind: int, place: int) -> tuple[int, list[Value]]:
        if kind == INNER_INDEX:
            place += 4
        length, place = _varint(page, place)
        rowid = 0
        if kind == LEAF_TABLE:
            rowid, place = _varint(page, place)
        if length > _PAYLOAD_LIMIT:
            raise ValueError("no record is that long")
        # How much of a record stands in its page: section 1.6, the same words.
        most = self.size - 35 if kind == LEAF_TABLE else (self.size - 12) * 64 // 255 - 23
        if length <= most:
            return rowid, _record(page[place : place + length], length)
        least = (self.size - 12) * 32 // 255 - 23
        here = least + (length - least) % (self.size - 4)
        here = here if here <= most else least
        parts = [page[place : place + here]]
        following = struct.unpack_from(">I", page, place + here)[0]
        seen: set[int] = set()
        missing = length - here
        while missing > 0:
            more = self.page(following)
            if following in seen or len(more) < self.size:
                raise ValueError("the chain of overflow pages is broken")
            seen.add(following)
            parts.append(more[4 : 4 + missing])
            missing -= self.size - 4
            following = struct.unpack_from(">I", more, 0)[0]
        return rowid, _record(b"".join(parts), length)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for i in range(9):
        byte = data[place + i]
        if i == 8:
            return (value << 8) | byte, place + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, place + i + 1
    raise ValueError("unreachable: the ninth byte always ends a number")


def _record(data: bytes, length: int) -> list[Value]:
    """Return the columns of a record. Raises IndexError or ValueError where it is none."""
    if len(data) != length:
        raise ValueError("the record is cut off")
    header, place = _varint(data, 0)
    kinds: list[int] = []
    while place < header:
        kind, place = _varint(data, place)
        kinds.append(kind)
    if place != header:
        raise ValueError("the header's length is wrong")
    columns: list[Value] = []
    for kind in kinds:
        size = (kind - 12) // 2 if kind >= 12 else _LENGTHS[kind]
        piece = data[place : place + size]
        if len(piece) != size:
            raise ValueError("a column is cut off")
        columns.append(_column(kind, piece))
        place += size
    if place != length:
        raise ValueError("the record is longer than its columns")
    return columns


def _column(kind: int, piece: bytes) -> Value:
    match kind:
        case 0:
            return None
        case 7:
            return float(struct.unpack(">d", piece)[0])
        case 8 | 9:
            return kind - 8
        case _ if kind < 7:
            return int.from_bytes(piece, "big", signed=True)
    return piece.decode() if kind % 2 else piece

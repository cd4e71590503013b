"""Copies what is readable of a damaged store into a new one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from palaver.core.errors import StoreError, UserError
from palaver.core.log import Notice
from palaver.sessions import journal
from palaver.sessions.codec import (
    checksum,
    decode_entry,
    decode_generation,
    encode_entry,
    kind_of,
)
from palaver.sessions.faults import from_os
from palaver.sessions.pages import LEAF_TABLE, Pages, Value
from palaver.sessions.search import index_text
from palaver.sessions.store import Store

KINDS = {"system", "user", "assistant", "tool", "notice", "compaction"}
LOST = Notice("info", "What stood here was lost when the store was damaged.")
_ID_LIMIT = 1 << 53


class Salvaged(Struct, frozen=True):
    """What came out: whole `sessions` and `entries`, `lost` entries that something stood below,
    `doubtful` ones whose text may be wrong in places, `answers` that were under way."""

    sessions: int
    entries: int
    lost: int
    doubtful: int
    answers: int


class _Found:
    """The rows of a damaged file, told apart by their shape (see `palaver.sessions.schema`)."""

    def __init__(self, pages: Pages) -> None:
        self.sessions: dict[int, list[Any]] = {}
        self.entries: dict[int, list[Any]] = {}
        self.generations: dict[int, list[Any]] = {}
        self.marks: dict[int, list[Any]] = {}
        self.journal: dict[tuple[int, int, int], tuple[str, str]] = {}
        self.doubtful = 0
        for kind, rowid, columns in pages.rows():
            if kind != LEAF_TABLE:
                self._index_row(columns)
            elif 0 < rowid < _ID_LIMIT and columns:
                self._table_row(rowid, columns)

    def _index_row(self, columns: list[Value]) -> None:
        match columns:
            case [int(session), int(parent), int(seq), str(kind), str(text)]:
                self.journal[session, parent, seq] = (kind, text)

    def _table_row(self, rowid: int, columns: list[Value]) -> None:
        match columns:
            case [None, int(), None | int(), int() | float(), str(kind), bytes(body), int(total)]:
                if kind in KINDS:
                    self._entry(rowid, columns, body, total)
            case [None, bytes(rest), bytes(ids), int(total)]:
                if checksum(rest, ids) == total:
                    self.generations[rowid] = [rest, ids, total]
            case [None, title, cwd, model, int() | float(), int() | float(), tip, base]:
                if all(v is None or isinstance(v, str) for v in (title, cwd, model)) and all(
                    v is None or isinstance(v, int) for v in (tip, base)
                ):
                    self.sessions[rowid] = columns[1:]
            case [None, int(), "good" | "bad" | "note", str(), int() | float()]:
                self.marks[rowid] = columns[1:]

    def _entry(self, rowid: int, columns: list[Value], body: bytes, total: int) -> None:
        sound = checksum(body) == total
        if rowid in self.entries and not sound:
            return
        try:
            entry = decode_entry(body)
        except (msgspec.DecodeError, ValueError):
            return
        self.doubtful += not sound
        self.entries[rowid] = [columns[1], columns[2], columns[3], entry]


def salvage(path: Path, into: Path) -> Salvaged:
    """Copy all that can be read of the store at `path` into a new store at `into`.

    The damaged file is only read. Entries keep their numbers; where one is lost that others
    stand below, a Notice takes its place. Raises UserError if `into` exists, StoreError if
    nothing could be read or `into` can't be written.
    """
    if into.exists():
        raise UserError(f"{into} is there already.", fix="Name a file that does not exist.")
    try:
        found = _Found(Pages(path))
    except OSError as error:
        raise from_os(path, error) from error
    if not found.entries:
        raise StoreError(f"Nothing in {path} can be read as a palaver store.")
    lost = _fill_gaps(found)
    with Store(into) as store:
        answers = _write(store, found)
    return Salvaged(len(found.sessions), len(found.entries) - lost, lost, found.doubtful, answers)


def _fill_gaps(found: _Found) -> int:
    """Make sessions and parents that are named and were not found; return how many parents."""
    lost = 0
    for row in sorted(found.entries, reverse=True):
        session, parent, at, _ = found.entries[row]
        if parent is not None and not 0 < parent < row:
            found.entries[row][1] = None
        elif parent is not None and parent not in found.entries:
            found.entries[parent] = [session, None, at, LOST]
            lost += 1
    for row in sorted(found.entries):
        session, _, at, _ = found.entries[row]
        if session not in found.sessions:
            found.sessions[session] = [f"salvaged {session}", None, None, at, at, None, None]
        known = found.sessions[session]
        if known[5] not in found.entries:
            known[5] = max(r for r, e in found.entries.items() if e[0] == session)
    for known in found.sessions.values():
        for place in (5, 6):
            if known[place] not in found.entries:
                known[place] = None
    return lost


def _write(store: Store, found: _Found) -> int:
    with store.db.writing() as connection:
        for number, known in sorted(found.sessions.items()):
            times = [t if math.isfinite(t) else 0.0 for t in known[3:5]]
            connection.execute(
                "INSERT INTO session VALUES (?,?,?,?,?,?,?,?)",
                (number, *known[:3], *times, *known[5:]),
            )
        for row, (session, parent, at, entry) in sorted(found.entries.items()):
            entry, body = encode_entry(entry)
            at = at if math.isfinite(at) else 0.0
            connection.execute(
                "INSERT INTO entry VALUES (?,?,?,?,?,?,?)",
                (row, session, parent, at, kind_of(entry), body, checksum(body)),
            )
            connection.execute(
                "INSERT INTO words(rowid, text) VALUES (?,?)", (row, index_text(entry))
            )
            if row in found.generations:
                rest, ids, total = found.generations[row]
                try:
                    decode_generation(rest, ids)
                except ValueError:
                    continue
                connection.execute(
                    "INSERT INTO generation VALUES (?,?,?,?)", (row, rest, ids, total)
                )
        for row, kind, text, at in found.marks.values():
            if row in found.entries and math.isfinite(at):
                connection.execute(
                    "INSERT INTO mark(row, kind, text, at) VALUES (?,?,?,?)", (row, kind, text, at)
                )
        for (session, parent, seq), (kind, text) in sorted(found.journal.items()):
            if session in found.sessions and kind in journal.KINDS:
                connection.execute(
                    "INSERT INTO journal VALUES (?,?,?,?,?)",
                    (session, parent if parent in found.entries else 0, seq, kind, text),
                )
    return len({key[:2] for key in found.journal})

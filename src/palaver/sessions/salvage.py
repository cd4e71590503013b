"""Copies what is readable of a damaged store into a new one."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from palaver.core.errors import StoreError, UserError
from palaver.core.log import Notice
from palaver.sessions import codec, journal
from palaver.sessions.codec import (
    checksum,
    decode_entry,
    decode_generation,
    encode_entry,
    entry_checksum,
    kind_of,
)
from palaver.sessions.faults import from_os
from palaver.sessions.pages import LEAF_TABLE, Pages, Value
from palaver.sessions.search import index_text
from palaver.sessions.store import Store

KINDS = {"system", "user", "assistant", "tool", *codec.KINDS.values()}
LOST = Notice("info", "What stood here was lost when the store was damaged.")
_ID_LIMIT = 1 << 53


class Salvaged(Struct, frozen=True):
    """What came out: whole `sessions` and `entries`, `lost` entries that something stood below,
    `shorter` sessions whose newest entries are lost (how many nobody can tell), `doubtful`
    entries whose text may be wrong in places, `answers` that were under way."""

    sessions: int
    entries: int
    lost: int
    shorter: int
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
        self.doubtful: set[int] = set()
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
            case [
                None,
                int(session),
                None | int() as parent,
                int() | float() as at,
                str(kind),
                bytes(body),
                int(total),
            ]:
                if kind in KINDS:
                    sound = entry_checksum(parent, at, body) == total
                    self._entry(rowid, [session, parent, at], body, sound)
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

    def _entry(self, rowid: int, place: list[Any], body: bytes, sound: bool) -> None:
        if rowid in self.entries and not sound:
            return
        try:
            entry = decode_entry(body)
        except (msgspec.DecodeError, ValueError):
            return
        self.entries[rowid] = [*place, entry]
        (self.doubtful.discard if sound else self.doubtful.add)(rowid)


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
    shorter = sum(
        known[5] is not None and known[5] not in found.entries for known in found.sessions.values()
    )
    lost = _fill_gaps(found)
    try:
        with Store(into) as store:
            answers = _write(store, found)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
    return Salvaged(
        len(found.sessions),
        len(found.entries) - lost,
        lost,
        shorter,
        len(found.doubtful),
        answers,
    )


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
    newest = {entry[0]: row for row, entry in sorted(found.entries.items())}
    for row in sorted(found.entries):
        session, _, at, _ = found.entries[row]
        if session not in found.sessions:
            tip = newest[session]
            found.sessions[session] = [f"salvaged {session}", None, None, at, at, tip, None]
    for session, known in found.sessions.items():
        if known[6] not in found.entries:
            known[6] = None
        if known[5] is not None and not _shows(found, session, known[5], known[6]):
            known[5] = newest.get(session, known[6])
    return lost


def _shows(found: _Found, session: int, row: int, base: int | None) -> bool:
    """Say whether a row is there and is the session's, or stands at or above its base."""
    if row not in found.entries or found.entries[row][0] == session:
        return row in found.entries
    while base is not None and base != row:
        base = found.entries[base][1]
    return base == row


def _write(store: Store, found: _Found) -> int:
    with store.db.writing() as connection:
        for number, known in sorted(found.sessions.items()):
            connection.execute(
                "INSERT INTO session VALUES (?,?,?,?,?,?,?,?)",
                (number, *known[:3], _time(known[3]), _time(known[4]), *known[5:]),
            )
        for row, columns in sorted(found.entries.items()):
            _write_entry(connection, row, columns, found.generations.get(row))
        for row, kind, text, at in found.marks.values():
            if row in found.entries:
                connection.execute(
                    "INSERT INTO mark(row, kind, text, at) VALUES (?,?,?,?)",
                    (row, kind, text, _time(at)),
                )
        return _write_journal(connection, found)


def _write_journal(connection: apsw.Connection, found: _Found) -> int:
    """Write what was under way; return how many answers that were."""
    answers: set[tuple[int, int]] = set()
    pieces: Counter[tuple[int, int]] = Counter()
    for (session, parent, _), (kind, text) in sorted(found.journal.items()):
        if session in found.sessions and kind in journal.KINDS:
            # What stood below entries that are lost stands together below none.
            place = session, parent if parent in found.entries else 0
            connection.execute(
                "INSERT INTO journal VALUES (?,?,?,?,?)", (*place, pieces[place], kind, text)
            )
            pieces[place] += 1
            if kind != journal.PRINTED:
                answers.add((session, parent))
    return len(answers)


def _write_entry(
    connection: apsw.Connection, row: int, columns: list[Any], generation: list[Any] | None
) -> None:
    session, parent, at, entry = columns
    at = _time(at)
    entry, body = encode_entry(entry)
    connection.execute(
        "INSERT INTO entry VALUES (?,?,?,?,?,?,?)",
        (row, session, parent, at, kind_of(entry), body, entry_checksum(parent, at, body)),
    )
    connection.execute("INSERT INTO words(rowid, text) VALUES (?,?)", (row, index_text(entry)))
    if generation:
        with suppress(ValueError):
            decode_generation(generation[0], generation[1])
            connection.execute(
                "INSERT INTO generation VALUES (?,?,?,?)",
                (row, *generation),
            )


def _time(at: float) -> float:
    return at if math.isfinite(at) else 0.0

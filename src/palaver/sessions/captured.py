"""Which records of a session were written to which file."""

from __future__ import annotations

import time

from msgspec import Struct

from palaver.sessions.query import fetch
from palaver.sessions.store import Store


class Captured(Struct, frozen=True):
    """A record of the path to `tip`, at byte `start` of the file, known by its digest."""

    tip: int
    start: int
    length: int
    digest: bytes


def captured(store: Store, session: int, file: str) -> list[Captured]:
    """Return what was written of a session to a file, oldest first."""
    with store.db.reading() as connection:
        rows = fetch(
            connection,
            "SELECT tip, place, length, digest FROM captured WHERE session = ? AND file = ? "
            "ORDER BY id",
            (session, file),
        )
    return [Captured(*row) for row in rows]


def note_captured(store: Store, session: int, file: str, record: Captured) -> None:
    """Note that a record is about to be written; durable."""
    with store.db.writing() as connection:
        connection.execute(
            "INSERT INTO captured(file, session, tip, place, length, digest, at) "
            "VALUES (?,?,?,?,?,?,?)",
            (file, session, record.tip, record.start, record.length, record.digest, time.time()),
        )

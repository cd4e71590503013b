"""What of a session a capture takes, and which records were written to which file."""

from __future__ import annotations

import time

from msgspec import Struct

from palaver.core.log import Notice
from palaver.sessions.codec import decode_entry
from palaver.sessions.query import fetch
from palaver.sessions.store import Store


class Captured(Struct, frozen=True):
    """A record of the path to `tip`, at byte `start` of the file, known by its digest."""

    tip: int
    start: int
    length: int
    digest: bytes


def conversations(store: Store, session: int) -> list[int]:
    """Return where a session's conversations end: each that /clear left, then where it stands.

    What was undone, or answered once more, is a branch and no conversation of its own.
    """
    tip = store.tip(session)
    with store.db.reading() as connection:
        notices = fetch(
            connection,
            "SELECT id, body FROM entry AS e WHERE session = ?1 AND kind = 'notice' "
            "AND id IS NOT ?2 AND NOT EXISTS (SELECT 1 FROM entry WHERE parent = e.id) ORDER BY id",
            (session, tip),
        )
    found = [(row, decode_entry(body)) for row, body in notices]
    ends = [row for row, entry in found if isinstance(entry, Notice) and entry.kind == "cleared"]
    return ends if tip is None else [*ends, tip]


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

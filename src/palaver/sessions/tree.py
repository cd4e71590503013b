"""Walking and cutting the tree. Each function works on a connection, inside a transaction.

A session's rows are those that it owns (`entry.session`) and, for a fork, its base and all
above it. So each row has one owner, and whoever else shows it does so through a base.
"""

from __future__ import annotations

import time

import apsw

from palaver.core.errors import UserError
from palaver.core.generation import Generation
from palaver.core.log import Entry, Row
from palaver.core.messages import Message
from palaver.sessions import journal
from palaver.sessions.codec import (
    ROW_COLUMNS,
    DamagedError,
    checksum,
    decode_entry,
    decode_row,
    encode_entry,
    encode_generation,
    entry_checksum,
    kind_of,
)
from palaver.sessions.listing import Session
from palaver.sessions.query import fetch, fetch_one, value
from palaver.sessions.search import index_text

# Up from ?1 to its root. What joins it says CROSS JOIN: left to choose, SQLite walks the whole
# table in order and looks each row up in here. `e.id < up.id` stands here, though the table
# checks it, because a walk must end in a damaged file too.
_UP = """
WITH RECURSIVE up(id, parent) AS (
    SELECT id, parent FROM entry WHERE id = ?1
    UNION ALL
    SELECT e.id, e.parent FROM up CROSS JOIN entry AS e ON e.id = up.parent AND e.id < up.id
)
"""


def path(connection: apsw.Connection, tip: int | None) -> list[Row]:
    """Return the rows from the root to `tip`, decoded. Raises DamagedError."""
    if tip is None:
        return []
    rows = fetch(
        connection,
        f"{_UP} SELECT {ROW_COLUMNS} FROM up CROSS JOIN entry AS e ON e.id = up.id "
        "LEFT JOIN generation AS g ON g.row = e.id ORDER BY up.id",
        (tip,),
    )
    found = [decode_row(columns) for columns in rows]
    if not found or found[-1].id != tip or found[0].parent is not None:
        raise DamagedError(f"an entry above entry {tip} is missing")
    return found


def belongs(connection: apsw.Connection, session: int, row: int) -> bool:
    """Say whether a session shows `row`: it is its own, or stands at or above its base."""
    owner = value(connection, "SELECT session FROM entry WHERE id = ?", (row,))
    if owner is None or owner == session:
        return owner is not None
    base = value(connection, "SELECT base FROM session WHERE id = ?", (session,))
    return bool(value(connection, f"{_UP} SELECT ?2 IN (SELECT id FROM up)", (base, row)))


def check(connection: apsw.Connection, session: int, row: int | None) -> None:
    """Raise UserError if `row` is an entry that the session does not show."""
    if row is not None and not belongs(connection, session, row):
        raise UserError(f"There is no entry {row} in session {session}.")


def append(
    connection: apsw.Connection,
    session: int,
    parent: int | None,
    entry: Entry,
    generation: Generation | None = None,
    at: float | None = None,
) -> Row:
    """Add an entry below `parent` and let the session stand on it. Raises UserError."""
    check(connection, session, parent)
    entry, body = encode_entry(entry)
    at = time.time() if at is None else at
    connection.execute(
        "INSERT INTO entry(session, parent, at, kind, body, sum) VALUES (?,?,?,?,?,?)",
        (session, parent, at, kind_of(entry), body, entry_checksum(parent, at, body)),
    )
    row = connection.last_insert_rowid()
    if generation is not None:
        rest, ids = encode_generation(generation)
        connection.execute(
            "INSERT INTO generation(row, body, ids, sum) VALUES (?,?,?,?)",
            (row, rest, ids, checksum(rest, ids)),
        )
    connection.execute("INSERT INTO words(rowid, text) VALUES (?,?)", (row, index_text(entry)))
    connection.execute("UPDATE session SET tip = ?, updated = ? WHERE id = ?", (row, at, session))
    if isinstance(entry, Message):
        connection.execute("DELETE FROM redo WHERE session = ?", (session,))
        if entry.role == "assistant":
            connection.execute(
                "DELETE FROM journal WHERE session = ? AND parent = ?", (session, parent or 0)
            )
    for above, what in begun(connection, session):
        if journal.ends(entry, what):
            _forget_printed(connection, session, above)
    return Row(row, session, parent, at, entry, generation)


def keep_printed(connection: apsw.Connection, session: int) -> None:
    """Make entries of what was printed by what a dead process ran."""
    for above, what in begun(connection, session):
        pieces = fetch(
            connection,
            "SELECT text FROM journal WHERE session = ? AND parent = ? AND kind = ? ORDER BY seq",
            (session, above, journal.PRINTED),
        )
        tip = value(connection, "SELECT tip FROM session WHERE id = ?", (session,))
        append(connection, session, tip, journal.printed(what, "".join(t for (t,) in pieces)))
        _forget_printed(connection, session, above)


def begun(connection: apsw.Connection, session: int) -> list[tuple[int, Entry | None]]:
    """Return the entries since which something was printed, their rows first; None: it is lost."""
    rows = fetch(
        connection,
        "SELECT j.parent, e.body FROM (SELECT DISTINCT parent FROM journal WHERE session = ? "
        "AND kind = ?) AS j LEFT JOIN entry AS e ON e.id = j.parent",
        (session, journal.PRINTED),
    )
    return [(row, decode_entry(body) if body else None) for row, body in rows]


def _forget_printed(connection: apsw.Connection, session: int, above: int) -> None:
    connection.execute(
        "DELETE FROM journal WHERE session = ? AND parent = ? AND kind = ?",
        (session, above, journal.PRINTED),
    )


def children(connection: apsw.Connection, session: int, row: int | None) -> list[int]:
    """Return the rows below `row` that a session shows, oldest first."""
    rows = fetch(
        connection,
        "SELECT id FROM entry WHERE parent IS ? AND (? OR session = ?) ORDER BY id",
        (row, row is not None, session),
    )
    return [child for (child,) in rows if belongs(connection, session, child)]


def variants(connection: apsw.Connection, session: int, tip: int | None) -> dict[int, list[int]]:
    """Return the user's and the model's messages on the path to `tip` that have others beside
    them, each with all that stand there, oldest first."""
    if tip is None:
        return {}
    pairs = fetch(
        connection,
        f"{_UP} SELECT up.id, e.id FROM up CROSS JOIN entry AS me ON me.id = up.id "
        "CROSS JOIN entry AS e ON e.parent = up.parent AND e.kind = me.kind AND e.id <> me.id "
        "WHERE me.kind IN ('user', 'assistant')",
        (tip,),
    )
    pairs += fetch(
        connection,
        f"{_UP} SELECT up.id, e.id FROM up CROSS JOIN entry AS me ON me.id = up.id "
        "CROSS JOIN entry AS e ON e.session = ?2 AND e.parent IS NULL AND e.kind = me.kind "
        "AND e.id <> me.id WHERE up.parent IS NULL AND me.kind = 'user'",
        (tip, session),
    )
    found: dict[int, list[int]] = {}
    for row, other in pairs:
        if belongs(connection, session, other):
            found.setdefault(row, [row]).append(other)
    return {row: sorted(rows) for row, rows in found.items()}


def newest(connection: apsw.Connection, session: int, row: int) -> int:
    """Return the end of the newest branch below `row`."""
    while below := children(connection, session, row):
        row = below[-1]
    return row


def move(connection: apsw.Connection, session: int, tip: int | None) -> None:
    """Let a session stand elsewhere and note from where it left."""
    connection.execute(
        "INSERT INTO redo(session, tip) SELECT id, tip FROM session WHERE id = ?", (session,)
    )
    _stand(connection, session, tip)


def _stand(connection: apsw.Connection, session: int, tip: int | None) -> None:
    connection.execute(
        "UPDATE session SET tip = ?, updated = ? WHERE id = ?", (tip, time.time(), session)
    )


def undo(connection: apsw.Connection, session: int, turns: int) -> int:
    """Step back before the newest `turns` user messages; return how many there were."""
    tip = value(connection, "SELECT tip FROM session WHERE id = ?", (session,))
    starts = fetch(
        connection,
        f"{_UP} SELECT e.parent FROM up CROSS JOIN entry AS e ON e.id = up.id "
        "WHERE e.kind = 'user' ORDER BY up.id DESC LIMIT ?2",
        (tip, turns),
    )
    if starts:
        move(connection, session, starts[-1][0])
    return len(starts)


def redo(connection: apsw.Connection, session: int) -> bool:
    """Stand where the newest move left from."""
    found = fetch_one(
        connection,
        "SELECT id, tip FROM redo WHERE session = ? ORDER BY id DESC LIMIT 1",
        (session,),
    )
    if found is None:
        return False
    connection.execute("DELETE FROM redo WHERE id = ?", (found[0],))
    _stand(connection, session, found[1])
    return True


def fork(connection: apsw.Connection, known: Session, base: int | None, title: str | None) -> int:
    """Make a session that begins at `base` of another."""
    now = time.time()
    connection.execute(
        "INSERT INTO session(title, cwd, model, created, updated, tip, base) "
        "VALUES (?,?,?,?,?,?,?)",
        (title or known.title or known.preview, known.cwd, known.model, now, now, base, base),
    )
    return connection.last_insert_rowid()


def give_back(connection: apsw.Connection, session: int) -> None:
    """Remove the newest session and its number, where nothing was ever in it."""
    connection.execute(
        "DELETE FROM session WHERE id = ?1 AND coalesce(tip, base, title) IS NULL "
        "AND id = (SELECT seq FROM sqlite_sequence WHERE name = 'session') "
        "AND NOT EXISTS (SELECT 1 FROM entry WHERE session = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM journal WHERE session = ?1)",
        (session,),
    )
    if connection.changes():
        connection.execute("UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'session'")


def delete(connection: apsw.Connection, session: int) -> int:
    """Remove a session and the rows that no other shows; return how many rows went.

    A row that a fork shows goes to the oldest session that shows it.
    """
    for other, base in fetch(
        connection,
        "SELECT id, base FROM session WHERE base IS NOT NULL AND id <> ? ORDER BY id",
        (session,),
    ):
        connection.execute(
            f"{_UP} UPDATE entry SET session = ?2 WHERE session = ?3 AND id IN (SELECT id FROM up)",
            (base, other, session),
        )
    rows = fetch(connection, "SELECT id, body FROM entry WHERE session = ?", (session,))
    for row, body in rows:
        try:
            text = index_text(decode_entry(body))
        except ValueError as error:
            raise DamagedError(f"entry {row} can't be read: {error}") from error
        connection.execute(
            "INSERT INTO words(words, rowid, text) VALUES('delete',?,?)", (row, text)
        )
        connection.execute("DELETE FROM generation WHERE row = ?", (row,))
        connection.execute("DELETE FROM mark WHERE row = ?", (row,))
    for table in ("entry", "journal", "redo", "captured"):
        connection.execute(f"DELETE FROM {table} WHERE session = ?", (session,))
    connection.execute("DELETE FROM session WHERE id = ?", (session,))
    return len(rows)

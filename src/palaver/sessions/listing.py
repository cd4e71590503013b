"""What a list of sessions or of branches shows."""

from __future__ import annotations

from typing import Any

import apsw
from msgspec import Struct

from palaver.core.errors import UserError
from palaver.sessions.codec import DamagedError, decode_entry
from palaver.sessions.query import fetch, fetch_one, value
from palaver.sessions.search import words_of

PREVIEW_CHARS = 80

_SESSION = "SELECT id, title, cwd, model, created, updated, tip, base FROM session"


class Session(Struct, frozen=True):
    """A conversation. Times are seconds since the epoch.

    `tip` is the row at which it stands. `base` is the row of another session at which it
    began, if it is a fork. `messages` counts those of all its branches, what a fork shares, too.
    `preview` is the beginning of the first thing the user said in it.
    """

    id: int
    title: str | None
    cwd: str | None
    model: str | None
    created: float
    updated: float
    tip: int | None
    base: int | None
    messages: int
    preview: str


class Branch(Struct, frozen=True):
    """An end of the tree. `current`: the session stands on it."""

    tip: int
    at: float
    kind: str
    preview: str
    current: bool


def one_session(connection: apsw.Connection, session: int) -> Session:
    """Return a session. Raises UserError if there is none."""
    known = session < 1 << 63  # SQLite's numbers end there
    found = fetch_one(connection, f"{_SESSION} WHERE id = ?", (session,)) if known else None
    if found is None:
        raise UserError(
            f"There is no session {session}.", fix="`palaver sessions list` shows those there are."
        )
    return _fill(connection, found)


def list_sessions(connection: apsw.Connection, limit: int | None) -> list[Session]:
    """Return the sessions that hold an entry, the newest first."""
    rows = fetch(
        connection,
        f"{_SESSION} WHERE tip IS NOT NULL OR EXISTS "
        "(SELECT 1 FROM entry WHERE entry.session = session.id) "
        "ORDER BY updated DESC, id DESC LIMIT ?",
        (-1 if limit is None else limit,),
    )
    return [_fill(connection, row) for row in rows]


def _fill(connection: apsw.Connection, columns: tuple[Any, ...]) -> Session:
    session, title, cwd, model, created, updated, tip, base = columns
    count = value(
        connection,
        "SELECT count(*) FROM entry WHERE session = ? "
        "AND kind IN ('system', 'user', 'assistant', 'tool')",
        (session,),
    )
    first = value(
        connection,
        "SELECT id FROM entry WHERE session = ? AND kind = 'user' ORDER BY id LIMIT 1",
        (session,),
    )
    if base is not None:  # a fork shows what it shares, too
        shared, earliest = _shared(connection, session, base)
        count, first = count + shared, earliest or first
    try:
        preview = "" if first is None else preview_of(connection, first)
    except DamagedError:  # the others are listed all the same
        preview = "(damaged: `palaver sessions salvage` copies what can be read)"
    return Session(session, title, cwd, model, created, updated, tip, base, count, preview)


def _shared(connection: apsw.Connection, session: int, base: int) -> tuple[int, int | None]:
    """Return how many messages of others stand from the root to `base`, the user's first one."""
    found = fetch_one(
        connection,
        "WITH RECURSIVE up AS (SELECT id, parent, kind, session FROM entry WHERE id = ? UNION "
        "SELECT e.id, e.parent, e.kind, e.session FROM entry AS e JOIN up ON e.id = up.parent) "
        "SELECT count(*), min(id) FILTER (WHERE kind = 'user') FROM up "
        "WHERE session <> ? AND kind IN ('system', 'user', 'assistant', 'tool')",
        (base, session),
    )
    return found or (0, None)


def preview_of(connection: apsw.Connection, row: int) -> str:
    """Return the beginning of an entry's text, on one line."""
    body = value(connection, "SELECT body FROM entry WHERE id = ?", (row,))
    try:
        text = words_of(decode_entry(body))
    except (TypeError, ValueError) as error:
        raise DamagedError(f"entry {row} can't be read: {error}") from error
    line = " ".join(text[: 4 * PREVIEW_CHARS].split())
    return line if len(line) <= PREVIEW_CHARS else line[: PREVIEW_CHARS - 1] + "…"


def branches(connection: apsw.Connection, session: int) -> list[Branch]:
    """Return every end of a session's tree, the newest first."""
    known = one_session(connection, session)
    rows = fetch(
        connection,
        "SELECT id, at, kind, parent FROM entry AS e WHERE (session = ?1 OR id = ?2) "
        "AND NOT EXISTS (SELECT 1 FROM entry AS c WHERE c.parent = e.id AND c.session = ?1) "
        "ORDER BY id DESC",
        (session, known.base),
    )
    found = []
    for row, at, kind, parent in rows:
        preview = preview_of(connection, row)  # some entries have no words
        if not preview and parent is not None:
            preview = preview_of(connection, parent)
        found.append(Branch(row, at, kind, preview, row == known.tip))
    return found

"""The tables, and how an older store becomes a newer one."""

from __future__ import annotations

from collections.abc import Callable

import apsw

APPLICATION = 0x50414C56  # "PALV": says in the file's header whose it is

# entry: `parent < id` makes a cycle impossible. AUTOINCREMENT, because a generation names the
# row that it grew from, and a row deleted must not come back as another under its number.
# session.base: the row at which a fork left another session; it and those above it are shared.
# redo: tips to go back to, newest last. captured: which line of which file holds a record.
# words: no text of its own (content=''), secure-delete: what is deleted leaves the index's bytes.
_FIRST = """
CREATE TABLE session(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT, cwd TEXT, model TEXT,
    created REAL NOT NULL, updated REAL NOT NULL,
    tip INTEGER REFERENCES entry(id),
    base INTEGER REFERENCES entry(id)
) STRICT;
CREATE INDEX session_updated ON session(updated);
CREATE INDEX session_tip ON session(tip) WHERE tip IS NOT NULL;
CREATE INDEX session_base ON session(base) WHERE base IS NOT NULL;
CREATE TABLE entry(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES session(id),
    parent INTEGER REFERENCES entry(id) CHECK (parent < id),
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    sum INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_session ON entry(session);
CREATE INDEX entry_parent ON entry(parent) WHERE parent IS NOT NULL;
CREATE TABLE generation(
    row INTEGER PRIMARY KEY REFERENCES entry(id),
    body BLOB NOT NULL,
    ids BLOB NOT NULL,
    sum INTEGER NOT NULL
) STRICT;
CREATE TABLE journal(
    session INTEGER NOT NULL REFERENCES session(id),
    parent INTEGER NOT NULL, -- 0 for none
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (session, parent, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark(
    id INTEGER PRIMARY KEY,
    row INTEGER NOT NULL REFERENCES entry(id),
    kind TEXT NOT NULL CHECK (kind IN ('good', 'bad', 'note')),
    text TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE INDEX mark_row ON mark(row);
CREATE TABLE redo(
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session(id),
    tip INTEGER REFERENCES entry(id)
) STRICT;
CREATE INDEX redo_session ON redo(session);
CREATE TABLE captured(
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    session INTEGER NOT NULL REFERENCES session(id),
    tip INTEGER NOT NULL REFERENCES entry(id),
    place INTEGER NOT NULL, length INTEGER NOT NULL, digest BLOB NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE INDEX captured_session ON captured(session, file);
CREATE TABLE upkeep(checkpoints INTEGER NOT NULL) STRICT;
INSERT INTO upkeep VALUES (0);
CREATE VIRTUAL TABLE words USING fts5(
    text, content='', tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO words(words, rank) VALUES ('secure-delete', 1);
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(_FIRST)


# One step for each version: MIGRATIONS[n] takes a store of version n to n + 1.
MIGRATIONS: tuple[Callable[[apsw.Connection], None], ...] = (_first,)
VERSION = len(MIGRATIONS)


def migrate(connection: apsw.Connection) -> None:
    """Bring the store to `VERSION`, in one transaction: all of it or nothing.

    Looks at the version again inside the transaction, because another process may have done
    it since.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        at = connection.pragma("user_version")
        for step in MIGRATIONS[at:]:
            step(connection)
        if at < VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

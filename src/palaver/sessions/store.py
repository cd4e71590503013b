"""The tree of entries on disk: appended to, walked, never changed.

Undo, redo, retry, edit, clear and switching branches only move the tip of a session; `delete`
alone removes anything. Everything here blocks and belongs to one thread; `background` has the
async form. Faults of the file are StoreError, wrong requests UserError.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from msgspec import Struct

from palaver.core.errors import StoreError, UserError
from palaver.core.generation import Generation
from palaver.core.log import Entry, JournalKind, Row
from palaver.core.messages import Message
from palaver.sessions import journal, search, tree
from palaver.sessions.codec import plain
from palaver.sessions.database import Database
from palaver.sessions.files import Claims
from palaver.sessions.listing import Branch, Session, branches, list_sessions, one_session
from palaver.sessions.query import fetch

MarkKind = Literal["good", "bad", "note"]


class Mark(Struct, frozen=True):
    """What the user thought of an entry. The newest "good" or "bad" of a row counts."""

    row: int
    kind: MarkKind
    text: str
    at: float


class Store:
    """An open store. One thread uses it."""

    def __init__(self, path: Path, *, readonly: bool = False, vfs: str | None = None) -> None:
        """Open the store at `path`; without `readonly` make or migrate it where needed.

        Raises StoreError: damaged, newer, of another program, not writable; nothing is written.
        """
        self.db = Database(path, readonly=readonly, vfs=vfs)
        self._claims = Claims(self.db.path.with_name(self.db.path.name + ".locks"))
        self._recovered: dict[int, Row] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the locks back and close the file; safe to call twice."""
        self._claims.drop_all()
        self.db.close()

    # -- sessions ------------------------------------------------------------------------

    def create_session(
        self, title: str | None = None, cwd: str | None = None, model: str | None = None
    ) -> int:
        """Make an empty session, open for writing here; return its number."""
        now = time.time()
        values = [None if value is None else plain(value) for value in (title, cwd, model)]
        with self.db.writing(durable=False) as connection:
            connection.execute(
                "INSERT INTO session(title, cwd, model, created, updated) VALUES (?,?,?,?,?)",
                (*values, now, now),
            )
            session = connection.last_insert_rowid()
        self._claims.take(session)
        return session

    def session(self, session: int) -> Session:
        """Return what is known of a session. Raises UserError if there is none."""
        with self.db.reading() as connection:
            return one_session(connection, session)

    def list_sessions(self, limit: int | None = None) -> list[Session]:
        """Return the sessions in which something was said, the newest first."""
        with self.db.reading() as connection:
            return list_sessions(connection, limit)

    def set_title(self, session: int, title: str | None) -> None:
        """Name a session, or take its name away."""
        self._set(session, "title", title)

    def set_model(self, session: int, model: str | None) -> None:
        """Say which model a session is with."""
        self._set(session, "model", model)

    def _set(self, session: int, column: str, value: str | None) -> None:
        self.session(session)
        with self.db.writing() as connection:
            connection.execute(
                f"UPDATE session SET {column} = ? WHERE id = ?",
                (None if value is None else plain(value), session),
            )

    def claim(self, session: int) -> None:
        """Open a session for writing here until `release` or `close`.

        An answer that a dead process left in the journal becomes an entry (see `recover`), and
        so does what a call had printed.
        Raises UserError where another process writes it, or there is no such session.
        """
        if session in self._claims:
            return
        self.db.check_writable()
        self.session(session)
        self._claims.take(session)
        self._recover(session)
        with self.db.reading() as connection:
            printed = tree.begun(connection, session)
        if printed:
            with self.db.writing() as connection:
                tree.keep_printed(connection, session)

    def release(self, session: int) -> None:
        """Let others write the session."""
        self._claims.drop(session)

    def fork(self, session: int, row: int | None = None, title: str | None = None) -> int:
        """Make a session that goes on from `row` of another (from its tip, if None).

        The entries up to there are shared and not copied: deleting either session leaves what
        the other shows. Only the new session is opened for writing.
        """
        known = self.session(session)
        with self.db.writing() as connection:
            base = known.tip if row is None else row
            tree.check(connection, session, base)
            new = tree.fork(connection, known, base, None if title is None else plain(title))
        self._claims.take(new)
        return new

    def delete(self, session: int) -> int:
        """Remove a session and what only it holds, from the file, its index and its log.

        Returns how many entries went. What a fork shares stays. The log is emptied at once, or
        as soon as no other process reads it. Raises UserError where another process writes it.
        """
        self.claim(session)
        with self.db.writing() as connection:
            gone = tree.delete(connection, session)
        self._claims.drop(session)
        self.db.checkpoint(truncate=True)
        return gone

    def give_back(self, session: int) -> None:
        """Remove the newest session, its number too, if nothing was ever said in it."""
        self.claim(session)
        with self.db.writing(durable=False) as connection:
            tree.give_back(connection, session)
            self._claims.drop(session)  # before another process can get the number

    # -- the tree ------------------------------------------------------------------------

    def append(
        self,
        session: int,
        parent: int | None,
        entry: Entry,
        generation: Generation | None = None,
        *,
        durable: bool = True,
    ) -> Row:
        """Store an entry below `parent` (None: a new root) and move the tip to it.

        Durable: on the disk when this returns, by one sync. An assistant's message takes the
        place of its journal in the same transaction. What was undone can't be redone after a
        message; it stays a branch. Raises UserError where another process writes the session.
        """
        self.claim(session)
        with self.db.writing(durable=durable) as connection:
            row = tree.append(connection, session, parent, entry, generation)
        if self.db.log_is_long() and isinstance(entry, Message):
            with suppress(StoreError):  # the entry is stored; the next one tries again
                self.db.checkpoint()
        return row

    def path(self, session: int, tip: int | None = None) -> list[Row]:
        """Return the rows from the root to `tip`, or to where the session stands if None.

        `Row.session` is where an entry was written, which for a fork's beginning is elsewhere.
        """
        with self.db.reading() as connection:
            if tip is None:
                tip = one_session(connection, session).tip
            else:
                tree.check(connection, session, tip)
            return tree.path(connection, tip)

    def tip(self, session: int) -> int | None:
        """Return the row at which a session stands; None before its first entry."""
        return self.session(session).tip

    def set_tip(self, session: int, tip: int | None) -> None:
        """Go elsewhere in the tree: retry, edit, branch, or clear (None). `redo` goes back."""
        self.claim(session)
        with self.db.writing() as connection:
            tree.check(connection, session, tip)
            tree.move(connection, session, tip)

    def undo(self, session: int, turns: int = 1) -> int:
        """Step back before the newest `turns` user turns; return how many there were to undo."""
        self.claim(session)
        with self.db.writing() as connection:
            return tree.undo(connection, session, turns)

    def redo(self, session: int) -> bool:
        """Go back to where the newest undo or move left from; False if there is nothing."""
        self.claim(session)
        with self.db.writing() as connection:
            return tree.redo(connection, session)

    def branches(self, session: int) -> list[Branch]:
        """Return every end of the session's tree, the newest first."""
        with self.db.reading() as connection:
            return branches(connection, session)

    def children(self, session: int, row: int | None) -> list[int]:
        """Return the rows of the session right below `row` (None: its roots), oldest first."""
        with self.db.reading() as connection:
            return tree.children(connection, session, row)

    def variants(self, session: int, tip: int | None) -> dict[int, list[int]]:
        """Return the messages on the path to `tip` that were said in several ways, with all rows
        that say them, oldest first."""
        with self.db.reading() as connection:
            return tree.variants(connection, session, tip)

    def newest(self, session: int, row: int) -> int:
        """Return the end of the newest branch below a row. Raises UserError."""
        with self.db.reading() as connection:
            tree.check(connection, session, row)
            return tree.newest(connection, session, row)

    # -- an answer under way -------------------------------------------------------------

    def journal_append(
        self, session: int, parent: int | None, seq: int, kind: JournalKind, text: str
    ) -> None:
        """Keep a piece of an answer to `parent` before it is painted; waits for no disk.

        `seq` starts at 0 for each answer and rises; `append` of the answer removes the pieces.
        """
        self.claim(session)
        if seq == 0:
            self._recover(session)  # what an answer that ended in our own fault left
        with self.db.writing(durable=False) as connection:
            connection.execute(
                "INSERT INTO journal VALUES (?,?,?,?,?)",
                (session, parent or 0, seq, kind, plain(text)),
            )

    def printed(self, session: int, begun: int, text: str) -> None:
        """Keep what was printed since the entry `begun` before it is painted; waits for no disk.

        `append` of the result removes it; after a crash it becomes an entry.
        """
        self.claim(session)
        with self.db.writing(durable=False) as connection:
            connection.execute(
                "INSERT INTO journal SELECT ?1, ?2, coalesce(max(seq), -1) + 1, ?3, ?4 "
                "FROM journal WHERE session = ?1 AND parent = ?2",
                (session, begun, journal.PRINTED, plain(text)),
            )

    def recover(self, session: int) -> Row | None:
        """Return the answer that a process which died left unfinished, if one did.

        It is an assistant's message with stop "error" below what it answers, with a Notice
        below it, where the session then stands. Opens it for writing.
        """
        self.claim(session)
        self._recover(session)
        return self._recovered.pop(session, None)

    def _recover(self, session: int) -> None:
        query = (
            "SELECT parent, kind, text FROM journal WHERE session = ? AND kind <> ? "
            "ORDER BY parent, seq"
        )
        with self.db.reading() as connection:
            found = fetch(connection, query, (session, journal.PRINTED))
        if not found:
            return
        answers: dict[int, list[tuple[str, str]]] = {}
        for parent, kind, text in found:
            answers.setdefault(parent, []).append((kind, text))
        with self.db.writing() as connection:
            for parent, pieces in answers.items():
                message = journal.rebuild(pieces)
                row = tree.append(connection, session, parent or None, message)
                tree.append(connection, session, row.id, journal.NOTICE)
                self._recovered[session] = row

    # -- marks and search ----------------------------------------------------------------

    def mark(self, row: int, kind: MarkKind, text: str = "") -> Mark:
        """Note what the user thinks of an entry. Raises UserError if there is no such entry."""
        made = Mark(row, kind, plain(text), time.time())
        with self.db.writing() as connection:
            if not fetch(connection, "SELECT 1 FROM entry WHERE id = ?", (row,)):
                raise UserError(f"There is no entry {row}.")
            connection.execute(
                "INSERT INTO mark(row, kind, text, at) VALUES (?,?,?,?)",
                (row, kind, made.text, made.at),
            )
        return made

    def unmark(self, row: int) -> None:
        """Take "good" and "bad" from an entry; notes stay."""
        with self.db.writing() as connection:
            connection.execute("DELETE FROM mark WHERE row = ? AND kind <> 'note'", (row,))

    def marks(self, rows: list[int]) -> dict[int, list[Mark]]:
        """Return the marks of these rows, oldest first; rows without one are left out."""
        found: dict[int, list[Mark]] = {}
        with self.db.reading() as connection:
            query = "SELECT row, kind, text, at FROM mark WHERE row = ? ORDER BY id"
            for row in rows:
                for columns in fetch(connection, query, (row,)):
                    found.setdefault(row, []).append(Mark(*columns))
        return found

    def search(self, query: str, limit: int = 20) -> list[search.Hit]:
        """Return entries that hold all words of `query` (see `palaver.sessions.search`)."""
        with self.db.reading() as connection:
            return search.search(connection, query, limit)

    def tidy(self) -> bool:
        """Move the log into the file; for a moment in which nobody waits for an answer."""
        return self.db.checkpoint()

"""A conversation that came from a file, before it has a place in the store."""

from __future__ import annotations

import time

from msgspec import Struct, field, structs

from palaver.core.generation import Generation
from palaver.core.log import Entry
from palaver.sessions import tree
from palaver.sessions.codec import plain
from palaver.sessions.store import Store


class DraftRow(Struct, frozen=True):
    """An entry of a file. `id` and `parent` are the file's numbers."""

    id: int
    parent: int | None
    entry: Entry
    at: float | None = None
    generation: Generation | None = None


class DraftMark(Struct, frozen=True):
    """A mark of a file."""

    row: int
    kind: str
    text: str = ""
    at: float = 0.0


class Draft(Struct):
    """A session of a file; its rows stand after their parents."""

    rows: list[DraftRow] = field(default_factory=list)
    marks: list[DraftMark] = field(default_factory=list)
    title: str | None = None
    cwd: str | None = None
    model: str | None = None
    created: float | None = None
    tip: int | None = None


def store_drafts(store: Store, drafts: list[Draft]) -> list[int]:
    """Store the drafts as new sessions, all of them or none; return their numbers."""
    with store.db.writing() as connection:
        made: list[int] = []
        for draft in drafts:
            now = time.time()
            names = [None if v is None else plain(v) for v in (draft.title, draft.cwd, draft.model)]
            connection.execute(
                "INSERT INTO session(title, cwd, model, created, updated) VALUES (?,?,?,?,?)",
                (*names, now if draft.created is None else draft.created, now),
            )
            session = connection.last_insert_rowid()
            made.append(session)
            placed: dict[int | None, int | None] = {None: None}
            for row in draft.rows:
                at = draft.created if row.at is None else row.at
                generation = _moved(row.generation, placed)
                new = tree.append(
                    connection, session, placed[row.parent], row.entry, generation, at
                )
                placed[row.id] = new.id
            for mark in draft.marks:
                connection.execute(
                    "INSERT INTO mark(row, kind, text, at) VALUES (?,?,?,?)",
                    (placed[mark.row], mark.kind, plain(mark.text), mark.at),
                )
            connection.execute(
                "UPDATE session SET tip = ?, updated = ? WHERE id = ?",
                (placed[draft.tip], now, session),
            )
    return made


def _moved(
    generation: Generation | None, placed: dict[int | None, int | None]
) -> Generation | None:
    """Return a generation that names its row by the new number; None if that row is not here."""
    if generation is None or generation.grew_from not in placed:
        return None
    return structs.replace(generation, grew_from=placed[generation.grew_from])

"""Sessions as files: Markdown to read, JSON and JSONL to import again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from palaver.core.errors import UserError
from palaver.sessions.codec import ROW_COLUMNS, decode_row
from palaver.sessions.listing import Session
from palaver.sessions.markdown import to_markdown
from palaver.sessions.query import fetch
from palaver.sessions.store import Store

FORMAT_VERSION = 1  # stands in each file as "palaver_session"


def export_markdown(store: Store, session: int) -> str:
    """Return the conversation as it stands, as Markdown (see `palaver.sessions.markdown`)."""
    known = store.session(session)
    return to_markdown(known.title or known.preview, store.path(session))


def export_json(store: Store, session: int) -> str:
    """Return a whole session, all branches, as one JSON object.

    {"palaver_session": 1, "title", "cwd", "model", "created", "tip",
     "rows": [{"id", "parent", "at", "entry", "generation"?}], "marks": [{"row", "kind", ...}]}
    """
    meta, rows, marks = _collect(store, session)
    text = msgspec.json.encode({**meta, "rows": rows, "marks": marks})
    return msgspec.json.format(text, indent=1).decode() + "\n"


def export_jsonl(store: Store, session: int) -> str:
    """Return the same a line each: what is known of the session, its rows, its marks."""
    meta, rows, marks = _collect(store, session)
    lines = [meta, *rows, *({"mark": mark} for mark in marks)]
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)


def write_new(path: Path, text: str) -> None:
    """Write a file that nobody else may read; refuses to overwrite. Raises UserError."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8", newline="") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                path.unlink(missing_ok=True)  # what is cut off there keeps nobody from trying again
                raise
    except FileExistsError:
        raise UserError(f"{path} is there already.", fix="Name another file.") from None
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}.") from None


def _collect(
    store: Store, session: int
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    known = store.session(session)
    rows = store.path(session, known.base) if known.base is not None else []
    above = {row.id for row in rows}
    with store.db.reading() as connection:
        own = fetch(
            connection,
            f"SELECT {ROW_COLUMNS} FROM entry AS e LEFT JOIN generation AS g ON g.row = e.id "
            "WHERE e.session = ? ORDER BY e.id",
            (session,),
        )
        rows = sorted(
            rows + [decode_row(columns) for columns in own if columns[0] not in above],
            key=lambda row: row.id,
        )
    marks = store.marks([row.id for row in rows])
    return (
        _meta(known),
        [_row(row) for row in map(msgspec.to_builtins, rows)],
        [msgspec.to_builtins(mark) for found in marks.values() for mark in found],
    )


def _meta(known: Session) -> dict[str, Any]:
    return {
        "palaver_session": FORMAT_VERSION,
        "title": known.title,
        "cwd": known.cwd,
        "model": known.model,
        "created": known.created,
        "tip": known.tip,
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in row.items()
        if key != "session" and not (key == "generation" and value is None)
    }

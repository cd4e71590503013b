"""Saves conversations of the store to a file of training records.

The file is only appended to. A conversation that is in it already is not written again; one
that has grown since is written whole, as a new line, because the record of a longer
conversation is another record. Saving at the end, or by marks, gives one line a conversation.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from palaver.capture.append import Place, append_records, check_writable
from palaver.capture.records import Built, Policy, build
from palaver.sessions.background import AsyncStore
from palaver.sessions.captured import Captured, captured, note_captured
from palaver.sessions.store import Store


class Saved(Struct, frozen=True):
    """What became of a session: `written` is False where the file held it already or there is
    no record; `grew` where an earlier, shorter state of the same branch is in the file."""

    built: Built
    written: bool
    grew: bool = False

    def __str__(self) -> str:
        """Say it in a line for the user, without the file's name."""
        notes = [
            f"left out {count} turn{'s' if count > 1 else ''} whose answer {why}"
            if why.startswith(("was", "has an"))
            else f"left out {count} turn{'s' if count > 1 else ''} that {why}"
            for why, count in self.built.left_out.items()
        ]
        if self.built.line is None:
            head = "nothing to save: a record needs two messages"
        elif not self.written:
            head = "already saved, nothing new since"
        else:
            head = f"saved {self.built.messages} messages"
            head += " (with those saved before)" if self.grew else ""
        return "; ".join([head, *notes])


def check_output(path: Path) -> None:
    """Raise UserError if records could not be appended to `path`; for the start of a chat."""
    check_writable(path)


def build_record(store: Store, session: int, policy: Policy) -> Built:
    """Make the record of where a session stands. Raises UserError if there is no session."""
    rows = store.path(session)
    return build(rows, store.marks([row.id for row in rows]), policy)


def capture_session(store: Store, session: int, path: Path, policy: Policy) -> Saved:
    """Append the record of where a session stands to the file, unless that holds it.

    Raises UserError where the file can't be written.
    """
    rows = store.path(session)
    built = build(rows, store.marks([row.id for row in rows]), policy)
    if built.line is None:
        return Saved(built, False)
    name = str(path.absolute())
    before = captured(store, session, name)
    tip = rows[-1].id

    def note(places: list[Place]) -> None:
        for place in places:
            record = Captured(tip, place.start, place.length, place.digest)
            note_captured(store, session, name, record)

    known = {record.digest: record.start for record in before}
    written = append_records(path, [built.line], known, note)
    above = {row.id for row in rows[:-1]}
    return Saved(built, bool(written), any(record.tip in above for record in before))


async def save_session(
    store: AsyncStore,
    session: int,
    path: Path,
    *,
    signing: tuple[str, str] | None = None,
    no_system: bool = False,
    good_only: bool = False,
) -> str:
    """Append a session's record to `path`; say what was done in a line for the user."""
    policy = Policy(no_system=no_system, good_only=good_only, signing=signing)
    saved = await store.run(capture_session, session, path, policy)
    return f"{saved} ({path})" if saved.written else str(saved)

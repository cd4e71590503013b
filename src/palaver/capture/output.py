"""Saves conversations of the store to a file of training records.

The file is only appended to. A conversation that is in it already is not written again; one
that has grown since is written whole, as a new line, because the record of a longer
conversation is another record. Saving at the end, or by marks, gives one line a conversation.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from palaver.capture.append import Place, append_records
from palaver.capture.records import Built, Policy, build
from palaver.core.log import Row
from palaver.sessions.background import AsyncStore
from palaver.sessions.captured import Captured, captured, conversations, note_captured
from palaver.sessions.store import Store

_END = b"]}"  # of a record's line
_PLURALS = {"is": "are", "has": "have"}


class Saved(Struct, frozen=True):
    """What became of a session: `written` is False where the file held it already or there is
    no record; `grew` where an earlier, shorter state of the same branch is in the file."""

    built: Built
    written: bool
    grew: bool = False

    def __str__(self) -> str:
        """Say it in a line for the user, without the file's name."""
        notes = [_left_out(why, count) for why, count in self.built.left_out.items()]
        if self.built.line is None:
            head = "nothing to save: a record needs two messages"
        elif not self.written:
            head = "already saved, nothing new since"
        else:
            head = f"saved {self.built.messages} messages"
            head += " (with those saved before)" if self.grew else ""
        return "; ".join([head, *notes])


def _left_out(why: str, count: int) -> str:
    turns = f"{count} turns" if count > 1 else "1 turn"
    if why.startswith("was"):
        return f"left out {turns} whose answer {why}"
    verb, rest = why.split(" ", 1)
    return f"left out {turns} that {_PLURALS[verb] if count > 1 else verb} {rest}"


class Record(Struct, frozen=True):
    """What a path of a session makes: `rows` lead from the root to where it ends."""

    rows: list[Row]
    built: Built

    def __str__(self) -> str:
        """Return its line of JSON; "" where there is no record."""
        return (self.built.line or b"").decode()


def build_record(store: Store, session: int, policy: Policy, tip: int | None = None) -> Record:
    """Make the record of the path to `tip`, or to where a session stands.

    Raises UserError if there is no session.
    """
    rows = store.path(session, tip)
    return Record(rows, build(rows, store.marks([row.id for row in rows]), policy))


def build_records(
    store: Store, session: int, policy: Policy, *, branches: bool = False
) -> list[Record]:
    """Make the records of a session's conversations, oldest first; `branches`: of every branch.

    What another of them begins with is left out: it stands in that one.
    """
    if branches:
        tips = [branch.tip for branch in reversed(store.branches(session))]
    else:
        tips = conversations(store, session)
    made = [build_record(store, session, policy, tip) for tip in tips]
    lines = {record.built.line: record for record in made if record.built.line}
    return [
        record
        for line, record in lines.items()
        if not any(other.startswith(line[: -len(_END)] + b",") for other in lines)
    ]


def write_record(store: Store, session: int, path: Path, record: Record) -> Saved:
    """Append a record of the session to the file, unless that holds it.

    Raises UserError where the file can't be written.
    """
    if record.built.line is None:
        return Saved(record.built, False)
    name = str(path.absolute())
    before = captured(store, session, name)
    tip = record.rows[-1].id

    def note(places: list[Place]) -> None:
        for place in places:
            noted = Captured(tip, place.start, place.length, place.digest)
            note_captured(store, session, name, noted)

    known = {old.digest: old.start for old in before}
    written = append_records(path, [record.built.line], known, note)
    above = {row.id for row in record.rows[:-1]}
    return Saved(record.built, bool(written), any(old.tip in above for old in before))


def capture_session(store: Store, session: int, path: Path, policy: Policy) -> Saved:
    """Append the record of where a session stands to the file, unless that holds it.

    Raises UserError where the file can't be written.
    """
    return write_record(store, session, path, build_record(store, session, policy))


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

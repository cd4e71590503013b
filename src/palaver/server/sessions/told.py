"""What a page is told of sessions and of their logs. Nothing is escaped here: it makes text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.chat.decide import AwaitUser, Generate, next_step
from palaver.chat.front import Question
from palaver.core.log import CallStarted, Row
from palaver.core.messages import Message, ToolResult
from palaver.sessions.listing import Session


def row(one: Row, variants: Sequence[int] = ()) -> dict[str, Any]:
    """Return an entry and where it stands, without what only files or models need.

    `variants` are the rows that say the same in other ways, this one among them.
    """
    entry = one.entry
    if isinstance(entry, CallStarted):
        entry = msgspec.structs.replace(entry, changes=())
    elif isinstance(entry, Message) and entry.role == "tool":
        parts = tuple(
            msgspec.structs.replace(part, whole="") if isinstance(part, ToolResult) else part
            for part in entry.parts
        )
        entry = msgspec.structs.replace(entry, parts=parts)
    made: dict[str, Any] = {"id": one.id, "at": one.at, "entry": entry, "variants": variants}
    if one.generation:
        made["generation"] = {"model": one.generation.model, "timings": one.generation.timings}
    return made


def session(one: Session) -> dict[str, Any]:
    """Return what a list shows of a session."""
    return {
        "id": one.id,
        "title": one.title,
        "preview": one.preview,
        "updated": one.updated,
        "messages": one.messages,
    }


def is_user(one: Row) -> bool:
    """Say whether a row is a message of the user's."""
    return isinstance(one.entry, Message) and one.entry.role == "user"


def step(rows: Sequence[Row]) -> str:
    """Say where a log stands: `AwaitUser.why`, "unanswered", or "open": calls have no result."""
    found = next_step(rows)
    if isinstance(found, AwaitUser):
        return found.why
    return "unanswered" if isinstance(found, Generate) else "open"


def question(asked: Question | None) -> dict[str, Any]:
    """Return the event of a question, or of none being open any more."""
    if asked is None:
        return {"type": "question", "question": None}
    return {"type": "question", "question": {"digest": asked.digest, **_fields(asked)}}


def _fields(asked: Question) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}

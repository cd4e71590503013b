"""How sessions, hits and an earlier conversation are shown."""

from __future__ import annotations

import time
from collections.abc import Sequence

from palaver.core.errors import UserError
from palaver.core.log import Printed, Row
from palaver.core.messages import Message, ToolResult
from palaver.sessions.background import AsyncStore
from palaver.sessions.listing import Session
from palaver.sessions.query import fetch_one
from palaver.sessions.search import Hit
from palaver.sessions.store import Store
from palaver.terminal.escape import visible
from palaver.terminal.words import plural

_RECAP = 6  # messages of a resumed session that are shown again
_LOOKED_AT = 50  # sessions, newest first, for one that has an answer
_LINES = 12  # lines of each


async def number_of(store: AsyncStore, text: str, *, other_than: int | None = None) -> int:
    """Read a session's number, or "last"; raises UserError.

    "last" is the newest that has an answer: one that failed at once is not gone on with, unless
    there is no other.
    """
    if text.isascii() and text.isdecimal() and len(text) < 19:  # SQLite's numbers end there
        return int(text)
    if text != "last":
        raise UserError(f"{text[:40]!r} is no session", fix="give its number, or: last")
    newest = await store.run(Store.list_sessions, _LOOKED_AT)
    found = [session.id for session in newest if session.id != other_than]
    if not found:
        raise UserError("there is no session to go on with")
    for number in found:
        if await store.run(_answered, number):
            return number
    return found[0]


def _answered(store: Store, session: int) -> bool:
    """Say whether a session has an answer, or the pieces of one that was cut off."""
    with store.db.reading() as connection:
        found = fetch_one(
            connection,
            "SELECT 1 FROM entry WHERE session = ?1 AND kind = 'assistant' UNION ALL "
            "SELECT 1 FROM journal WHERE session = ?1 LIMIT 1",
            (session,),
        )
    return found is not None


def row(session: Session, current: int | None = None) -> str:
    """Write a line of the list of sessions."""
    mark = "*" if session.id == current else " "
    title = visible(session.title or session.preview, newlines=False)
    return f"{mark}{session.id:>5}  {age(session.updated):>8}  {session.messages:>4}  {title}"


def hit_line(hit: Hit) -> str:
    """Write a line of what a search found."""
    head = f"{hit.session:>5}  {age(hit.at):>8}  {hit.kind:<9}"
    return f"{head}  {visible(hit.snippet, newlines=False)}"


def age(at: float) -> str:
    """Write how long ago a moment was."""
    passed = max(0.0, time.time() - at)
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= unit:
            return f"{passed / unit:.0f} {name}"
    return "now"


def recap(rows: Sequence[Row]) -> str:
    """Write the end of a conversation that is gone on with."""
    said = [
        entry
        for entry in (row.entry for row in rows)
        if isinstance(entry, Printed) or (isinstance(entry, Message) and entry.role != "system")
    ]
    shown = said[-_RECAP:]
    lines = [f"... {plural(len(said) - len(shown), 'earlier message')}"] if shown != said else []
    for entry in shown:
        text = visible(_told(entry)).splitlines() or [""]
        theirs = isinstance(entry, Message) and entry.role == "user"
        first, rest = ("you> ", "     ") if theirs else ("", "")
        lines += [(rest if at else first) + line for at, line in enumerate(text[:_LINES])]
        if len(text) > _LINES:
            lines.append(f"... {plural(len(text) - _LINES, 'more line')}")
    return "\n".join(lines) or "nothing was said in it yet"


def _told(message: Message | Printed) -> str:
    """Write a message's text, its calls and results on lines of their own."""
    if isinstance(message, Printed):
        return f"[output]\n{message.text}"
    lines = [message.text] if message.text else []
    lines += [f"[call] {call.name}({call.arguments})" for call in message.calls]
    for part in message.parts:
        if isinstance(part, ToolResult):
            lines.append(f"[result] {part.name}{' failed' if part.failed else ''}\n{part.text}")
    return "\n".join(lines)

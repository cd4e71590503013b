"""What stands in the store of a program that a test has run."""

from __future__ import annotations

from pathlib import Path

from palaver.core.log import Entry
from palaver.core.messages import Message, ToolResult
from palaver.sessions.store import Store


def entries(home: Path, session: int | None = None) -> list[Entry]:
    """Return the entries on the path of a session, the newest if None."""
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        number = session or store.list_sessions(1)[0].id
        return [row.entry for row in store.path(number)]


def messages(home: Path) -> list[Message]:
    """Return the newest session's messages."""
    return [entry for entry in entries(home) if isinstance(entry, Message)]


def said(home: Path, role: str = "user") -> list[str]:
    """Return the texts of the newest session's messages of a role."""
    return [message.text for message in messages(home) if message.role == role]


def results(home: Path) -> list[str]:
    """Return what the newest session's calls gave."""
    parts = [part for message in messages(home) for part in message.parts]
    return [part.text for part in parts if isinstance(part, ToolResult)]

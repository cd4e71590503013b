"""Entries of a conversation and the rows they stand in.

A conversation is an append-only tree. A row has its own id and its parent's; the path from a
root to a tip is what a model sees. Nothing in a row changes after it was written.
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from palaver.core.generation import Generation
from palaver.core.messages import Message


class Notice(Struct, frozen=True, tag="notice"):
    """Something the user was told or noted; a model never sees it.

    `kind` is "note" for what the user wrote with /note, "info" for what the program said.
    """

    kind: Literal["note", "info"]
    text: str


class Compaction(Struct, frozen=True, tag="compaction"):
    """From here on a model sees `dropped` fewer messages, whole turns, oldest first.

    They stay in the tree above; undoing this entry brings them back.
    """

    dropped: int
    reason: str


Entry = Message | Notice | Compaction


class Row(Struct, frozen=True):
    """An entry where it stands: `id` is unique in the store, `parent` is None at a root.

    `at` is seconds since the epoch. `generation` says how a reply came to be and is None for
    everything else, and for replies that came from outside (an import).
    """

    id: int
    session: int
    parent: int | None
    at: float
    entry: Entry
    generation: Generation | None = None


def visible(rows: list[Row]) -> list[Row]:
    """Return the rows whose messages a model sees: one system message first, then the turns.

    The newest system message on the path counts, an empty one means none. A `Compaction` hides
    the oldest `dropped` messages that stand between the system message and itself.
    """
    head: Row | None = None
    turns: list[Row] = []
    for row in rows:
        entry = row.entry
        if isinstance(entry, Compaction):
            del turns[: entry.dropped]
        elif isinstance(entry, Message):
            if entry.role == "system":
                head = row if entry.text else None
            else:
                turns.append(row)
    return [head, *turns] if head else turns


def turn_starts(rows: list[Row]) -> list[int]:
    """Return the indices in `rows` at which a turn begins: each user message.

    A turn is a user's message and everything up to the next one; undo, retry, edit and trim
    all work on this unit, so that a tool's result is never parted from its call.
    """
    return [
        i
        for i, row in enumerate(rows)
        if isinstance(row.entry, Message) and row.entry.role == "user"
    ]


class Log(Protocol):
    """The conversation that a loop works on: reads its path, adds to it."""

    async def path(self) -> list[Row]:
        """Return the rows from the root to the tip."""

    async def append(self, entry: Entry, generation: Generation | None = None) -> Row:
        """Write an entry after the tip, durably, and make it the tip."""

    async def journal(self, kind: Literal["text", "reasoning", "call"], text: str) -> None:
        """Keep a piece of the answer under way before it is shown; ended by the next append."""

"""Entries of a conversation and the rows they stand in.

A conversation is an append-only tree. A row has its own id and its parent's; the path from a
root to a tip is what a model sees. Nothing in a row changes after it was written.
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from palaver.core.generation import Generation
from palaver.core.messages import Message, ToolResult


class Notice(Struct, frozen=True, tag="notice"):
    """Something the user was told or noted; a model never sees it.

    `kind` is "note" for what the user wrote with /note, "info" for what the program said. "exec"
    is a command that the user ran and what it printed: it begins their next message. "cleared"
    ends a conversation that /clear left; where something follows, it was gone back to.
    """

    kind: Literal["note", "info", "exec", "cleared"]
    text: str


class Compaction(Struct, frozen=True, tag="compaction"):
    """From here on a model sees `dropped` fewer messages, whole turns, oldest first.

    They stay in the tree above; undoing this entry brings them back.
    """

    dropped: int
    reason: str


class Approval(Struct, frozen=True, tag="approval", omit_defaults=True):
    """What the user said to running the call `call_id` of the newest answer; before it runs.

    `by` says for how long: this once, the session, or always. `digest` binds it to what was
    shown: it holds for these bytes alone. `reason` is for the model, where they said no.
    """

    call_id: str
    allowed: bool
    by: Literal["once", "session", "always"]
    digest: str = ""
    reason: str = ""


class FileChange(Struct, frozen=True, omit_defaults=True):
    """What becomes of a file: `before` are its bytes, None where there is none; `after` names
    the new ones ("" for none). `kept` is False where it holds too much to be kept here."""

    path: str
    before: bytes | None = None
    after: str = ""
    mode: int = 0
    kept: bool = True


class CallStarted(Struct, frozen=True, tag="started", omit_defaults=True):
    """The call `call_id` of the newest answer is about to run; its result follows, or the
    program ended while it ran. `changes` is what it will make of files below `root`."""

    call_id: str
    name: str
    root: str = ""
    changes: tuple[FileChange, ...] = ()


class Printed(Struct, frozen=True, tag="printed"):
    """What the call `call_id` had printed when the program ended while it ran."""

    call_id: str
    text: str


JournalKind = Literal["text", "reasoning", "call"]
Entry = Message | Notice | Compaction | Approval | CallStarted | Printed


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
    the oldest `dropped` messages that stand between the system message and itself. The results
    of an answer's calls stand in the order of the calls, whichever was done first.
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
                if entry.role == "tool":
                    _sort_results(turns)
    return [head, *turns] if head else turns


def _sort_results(turns: list[Row]) -> None:
    """Put the newest result where its call stands among those of the answer."""
    first = len(turns)
    while first and message_of(turns[first - 1]).role == "tool":
        first -= 1
    calls = [call.id for call in message_of(turns[first - 1]).calls] if first else []

    def place(row: Row) -> int:
        ids = [part.call_id for part in message_of(row).parts if isinstance(part, ToolResult)]
        return calls.index(ids[0]) if ids and ids[0] in calls else len(calls)

    turns[first:] = sorted(turns[first:], key=place)


def message_of(row: Row) -> Message:
    """Return the message of a row that `visible` returned. Raises TypeError for other entries."""
    if not isinstance(row.entry, Message):
        raise TypeError(f"{row.entry!r} is no message")
    return row.entry


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

    async def journal(self, kind: JournalKind, text: str) -> None:
        """Keep a piece of the answer under way before it is shown; ended by the next append."""

    async def printed(self, begun: Row, text: str) -> None:
        """Keep what a call printed, before it is shown: the one that `begun` says was started.

        Ended by its result.
        """

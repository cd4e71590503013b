"""A stored conversation as the loop and the front ends use it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from palaver.config import paths
from palaver.core.errors import UserError
from palaver.core.generation import Generation
from palaver.core.log import Compaction, Entry, JournalKind, Notice, Row, turn_starts, visible
from palaver.core.messages import Message, Reasoning, Text, system
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Mark, MarkKind, Store

CLEARED = Notice("cleared", "")
EXEC_HEAD = "[exec output]"


class Conversation:
    """One session, open for writing here; the path to where it stands is kept in memory.

    Implements `palaver.core.log.Log`. Nothing here destroys anything: undo, retry, edit and
    clear only move to another place of the tree.
    """

    def __init__(self, store: AsyncStore, session: int, rows: list[Row]) -> None:
        """Use `create` or `resume`."""
        self.store = store
        self.session = session
        self.rows = rows
        self._piece = 0
        self._below: Row | None = None  # where the next entry goes, if not below the tip

    @classmethod
    async def create(cls, store: AsyncStore, prompt: str | None, model: str | None) -> Conversation:
        """Begin a new session; `prompt` is its system prompt."""
        try:
            cwd: str | None = str(paths.here())
        except UserError:  # a server lives on where it was removed
            cwd = None
        session = await store.run(Store.create_session, cwd=cwd, model=model)
        made = cls(store, session, [])
        if prompt:
            await made.append(system(prompt), durable=False)  # the first message syncs both
        return made

    @classmethod
    async def resume(cls, store: AsyncStore, session: int) -> tuple[Conversation, Row | None]:
        """Open a session for writing; the row is an answer that was recovered, if one was.

        Raises UserError where there is none or another process writes it.
        """
        await store.run(Store.claim, session)
        recovered = await store.run(Store.recover, session)
        return cls(store, session, await store.run(Store.path, session)), recovered

    @property
    def began(self) -> float:
        """When the conversation began, in seconds since the epoch."""
        return self.rows[0].at if self.rows else time.time()

    @property
    def view(self) -> list[Row]:
        """The rows whose messages the model sees."""
        return visible(self.rows)

    @property
    def turns(self) -> int:
        """How many turns the model sees."""
        return len(turn_starts(self.view))

    async def path(self) -> list[Row]:
        """Return the rows from the root to the tip."""
        return list(self.rows)

    async def append(
        self, entry: Entry, generation: Generation | None = None, *, durable: bool = True
    ) -> Row:
        """Write an entry below the tip and make it the tip; being cancelled does not end that."""
        return await asyncio.shield(self._append(entry, generation, durable))

    async def _append(self, entry: Entry, generation: Generation | None, durable: bool) -> Row:
        above = self.rows
        if self._below is not None:
            above = above[: above.index(self._below) + 1]
        parent = above[-1].id if above else None
        row = await self.store.run(
            Store.append, self.session, parent, entry, generation, durable=durable
        )
        above.append(row)
        self.rows, self._below, self._piece = above, None, 0
        return row

    async def journal(self, kind: JournalKind, text: str) -> None:
        """Keep a piece of the answer under way before it is shown."""
        at = self._below or (self.rows[-1] if self.rows else None)
        parent = at.id if at else None
        piece, self._piece = self._piece, self._piece + 1
        await self.store.run(Store.journal_append, self.session, parent, piece, kind, text)

    async def printed(self, begun: Row, text: str) -> None:
        """Keep what was printed since the entry `begun`, before it is shown."""
        await self.store.run(Store.printed, self.session, begun.id, text)

    async def stand_in(self, row: Row) -> None:
        """Let the next entry take the place of `row`, the tip: beside it, holding its text too."""
        at = self.rows.index(row)
        self._below = self.rows[at - 1] if at else None
        if isinstance(row.entry, Message):
            for part in row.entry.parts:
                if isinstance(part, Text):
                    await self.journal("text", part.text)
                elif isinstance(part, Reasoning):
                    await self.journal("reasoning", part.text)

    def stand_back(self) -> None:
        """End `stand_in` where nothing took the row's place."""
        self._below = None
        self._piece = 0

    async def undo(self, turns: int = 1) -> int:
        """Step back before the newest `turns` turns; return how many there were."""
        count = await self.store.run(Store.undo, self.session, turns)
        await self._reload()
        return count

    async def redo(self) -> bool:
        """Take the newest undo back; False if there is nothing to redo."""
        done = await self.store.run(Store.redo, self.session)
        await self._reload()
        if self.rows and self.rows[-1].entry == CLEARED:
            await self.append(Notice("info", "gone on with after /clear"))
        return done

    async def go_to(self, row: int | None) -> None:
        """Stand at another row of the tree; None is before the beginning."""
        await self.store.run(Store.set_tip, self.session, row)
        await self._reload()

    async def clear(self) -> None:
        """Begin anew with the same system prompt; what was said stays as a branch."""
        head = next((r for r in self.view if _role(r) == "system"), None)
        if self.turns:
            await self.append(CLEARED)
        if head is None or head.parent is None:
            await self.go_to(head.id if head else None)
            return
        # It was set in the middle: it gets a place of its own, left and gone to again, because
        # redo leads back to where a move began, and not past a message.
        stood = self.rows[-1].id
        root = await self.store.run(Store.append, self.session, None, head.entry)
        await self.store.run(Store.set_tip, self.session, stood)
        await self.go_to(root.id)

    async def set_system(self, text: str) -> None:
        """Set the system prompt from here on; an empty text means none."""
        await self.append(system(text))

    def last_turn(self) -> Row:
        """Return the newest user message. Raises UserError if there is none."""
        starts = turn_starts(self.rows)
        if not starts:
            raise UserError("nothing was said yet")
        return self.rows[starts[-1]]

    def last_answer(self) -> Row:
        """Return the newest assistant's message. Raises UserError if there is none."""
        for row in reversed(self.rows):
            if _role(row) == "assistant":
                return row
        raise UserError("there is no answer yet")

    async def before_last_turn(self) -> Row:
        """Stand before the newest user message, to say it in other words; return that row."""
        row = self.last_turn()
        await self._stand(row.parent, self._set_since(row))
        return row

    async def at_last_turn(self) -> Row:
        """Stand at the newest user message, to have it answered again; return that row."""
        row = self.last_turn()
        since = self.rows[self.rows.index(row) + 1 :]
        if any(_role(r) not in (None, "system") for r in since):
            await self._stand(row.id, self._set_since(row))
        return row

    def _set_since(self, row: Row) -> list[Entry]:
        """Return what was set after `row` by /system and /trim: it stays set."""
        since = [r.entry for r in self.rows[self.rows.index(row) + 1 :]]
        return [
            entry
            for entry in since
            if isinstance(entry, Compaction)
            or (isinstance(entry, Message) and entry.role == "system")
        ]

    async def _stand(self, row: int | None, entries: Sequence[Entry]) -> None:
        await self.go_to(row)
        for entry in entries:
            await self.append(entry)

    async def trim(self, turns: int) -> int:
        """Hide the oldest `turns` turns from the model; return how many messages that were."""
        view = self.view
        starts = turn_starts(view)
        most = len(starts) - 1
        if most < 1:
            raise UserError("there is nothing to trim: the newest turn always stays")
        if not 0 < turns <= most:
            which = "1" if most == 1 else f"1 to {most}"
            raise UserError(f"there are {len(starts)} turns; /trim can drop {which}")
        dropped = starts[turns] - starts[0]
        await self.append(Compaction(dropped, f"trimmed by the user: {turns} turns"))
        return dropped

    async def fork(self, row: int | None = None) -> Conversation:
        """Begin a new session that goes on from `row` (the tip if None)."""
        session = await self.store.run(Store.fork, self.session, row)
        return Conversation(self.store, session, await self.store.run(Store.path, session))

    async def mark(self, row: Row, kind: MarkKind, text: str = "") -> None:
        """Note what the user thinks of an entry."""
        if kind in ("good", "bad"):
            await self.store.run(Store.unmark, row.id)
        await self.store.run(Store.mark, row.id, kind, text)

    async def marks(self, rows: Sequence[Row]) -> dict[int, list[Mark]]:
        """Return the marks of these rows."""
        return await self.store.run(Store.marks, [row.id for row in rows])

    async def leave(self) -> None:
        """Let other processes write the session."""
        await self.store.run(Store.release, self.session)

    async def _reload(self) -> None:
        self.rows = await self.store.run(Store.path, self.session)
        self._below = None
        self._piece = 0


def _role(row: Row) -> str | None:
    return row.entry.role if isinstance(row.entry, Message) else None


def waiting(rows: Sequence[Row]) -> list[str]:
    """Return what the user's commands printed since their newest message, oldest first."""
    found: list[str] = []
    for row in rows:
        entry = row.entry
        if isinstance(entry, Message) and entry.role == "user":
            found = []
        elif isinstance(entry, Notice) and entry.kind == "exec":
            found.append(f"{EXEC_HEAD}\n{entry.text}")
    return found


def said(rows: Sequence[Row], text: str) -> Message:
    """Make the user's message: what commands printed, a part of its own, then what they say."""
    blocks = waiting(rows)
    before = (Text("\n".join(blocks) + "\n\n"),) if blocks else ()
    return Message("user", (*before, Text(text)))


class Vault:
    """Where the store stands: the user's, or for `--no-save` one that ends with the program."""

    def __init__(self, *, keep: bool) -> None:
        """`keep` False puts the store in memory where the system has a file system for that."""
        self._folder: Path | None = None
        if not keep:
            memory = Path("/dev/shm")
            parent = memory if memory.is_dir() else None
            self._folder = Path(tempfile.mkdtemp(prefix="palaver-", dir=parent))

    @property
    def path(self) -> Path:
        """The store's file."""
        return self._folder / "palaver.db" if self._folder else paths.database()

    def close(self) -> None:
        """Remove a store that was not to be kept."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

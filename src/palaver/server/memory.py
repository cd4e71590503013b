"""What was said here lately: a client sends the whole conversation each time, as text, and the
exact ids of our answers in it are found again. Where conversations are captured, they are rows of
the session store.

A conversation is known by what was said in it, not by ids that a client could send; what one
client said is not found by another.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from palaver.core.events import MessageDone
from palaver.core.generation import Generation
from palaver.core.log import Entry, Row
from palaver.core.messages import Message, Text, ToolCall, ToolResult
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store

_ROWS = 4096
_IDS = 1_000_000  # of tokens, in all rows


class Shelf:
    """The session store, opened when it is first needed."""

    def __init__(self, path: Path, model: str) -> None:
        """`model` is what sessions are said to be with."""
        self._path = path
        self._model = model
        self._store: AsyncStore | None = None
        self._opening = asyncio.Lock()

    async def store(self) -> AsyncStore:
        """Return the store. Raises StoreError."""
        async with self._opening:
            if self._store is None:
                self._store = await AsyncStore.open(self._path)
        return self._store

    async def begin(self) -> int:
        """Begin a session."""
        return await (await self.store()).run(Store.create_session, model=self._model)

    async def append(
        self,
        session: int,
        parent: int | None,
        entry: Entry,
        generation: Generation | None = None,
        *,
        durable: bool = False,
    ) -> Row:
        """Write an entry below `parent`; once it is durable, so is all before it."""
        store = await self.store()
        return await store.run(Store.append, session, parent, entry, generation, durable=durable)

    async def release(self, session: int) -> None:
        """Let other processes write a session."""
        await (await self.store()).run(Store.release, session)

    async def close(self) -> None:
        """Close the store, if it was opened."""
        if self._store:
            await self._store.close()


class Memory:
    """Rows of conversations, by client and what was said up to them."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        """With a `shelf` every conversation is captured."""
        self._shelf = shelf
        self._rows: OrderedDict[bytes, Row] = OrderedDict()
        self._ids = 0
        self._count = itertools.count(1)

    @property
    def captures(self) -> bool:
        """Whether conversations are kept on disk."""
        return self._shelf is not None

    def recall(self, client: str, rows: Sequence[Row], *, same: bool = False) -> list[Row]:
        """Return the rows of a request: up to our newest answer in it, those that are known.

        What stands after that answer begins anew each time, unless this is for another answer
        to the `same` request.
        """
        found: list[Row | None] = []
        for row, key in zip(rows, _keys(client, rows), strict=True):
            known = self._rows.get(key)
            found.append(known if known and _stands_for(known, row) else None)
            if known:
                self._rows.move_to_end(key)
        answered = [i for i, row in enumerate(found) if row and row.generation]
        end = len(rows) if same else max(answered, default=-1) + 1
        return [known if known and i < end else rows[i] for i, known in enumerate(found)]

    async def keep(self, client: str, rows: Sequence[Row], done: MessageDone) -> None:
        """Note a request's rows and its answer. Raises StoreError where they can't be captured."""
        whole = [*rows, Row(0, 0, None, time.time(), done.message, done.generation)]
        keys = _keys(client, whole)
        begun = 0
        for i, row in enumerate(rows):
            if row.id > 0:
                begun = i + 1
        made = whole[:begun]
        session = made[-1].session if made else 0
        if self._shelf and not made:
            session = await self._shelf.begin()
        for row in whole[begun:]:
            parent = made[-1].id if made else None
            made.append(await self._row(session, parent, row, last=row is whole[-1]))
        if self._shelf:
            await self._shelf.release(session)
        for key, row in zip(keys[begun:], made[begun:], strict=True):
            self._note(key, row)

    async def _row(self, session: int, parent: int | None, row: Row, *, last: bool) -> Row:
        if self._shelf:
            return await self._shelf.append(
                session, parent, row.entry, row.generation, durable=last
            )
        return Row(next(self._count), 0, parent, row.at, row.entry, row.generation)

    def _note(self, key: bytes, row: Row) -> None:
        if old := self._rows.pop(key, None):
            self._ids -= _size(old)
        self._rows[key] = row
        self._ids += _size(row)
        while len(self._rows) > _ROWS or self._ids > _IDS:
            _, gone = self._rows.popitem(last=False)
            self._ids -= _size(gone)

    async def close(self) -> None:
        """Close the store."""
        if self._shelf:
            await self._shelf.close()


def _size(row: Row) -> int:
    return len(row.generation.added) if row.generation else 0


def _stands_for(known: Row, sent: Row) -> bool:
    """Say whether a known row may stand for one that says the same: not where the client changed
    the reasoning, which is not part of what was said."""
    if not isinstance(known.entry, Message) or not isinstance(sent.entry, Message):
        return False
    return sent.entry.reasoning in ("", known.entry.reasoning)


def _keys(client: str, rows: Sequence[Row]) -> list[bytes]:
    """Return for each row what names the conversation up to it."""
    key, keys = client.encode(), []
    for row in rows:
        key = hashlib.blake2b(key + _said(row), digest_size=16).digest()
        keys.append(key)
    return keys


def _said(row: Row) -> bytes:
    """Write what a row says, without ids of calls and without reasoning."""
    if not isinstance(row.entry, Message):
        return b""
    parts: list[tuple[str, ...]] = []
    for part in row.entry.parts:
        if isinstance(part, ToolCall):
            parts.append(("call", part.name, part.arguments))
        elif isinstance(part, ToolResult):
            parts.append(("result", part.name, part.text))
        elif isinstance(part, Text) and part.text:
            parts.append(("text", part.text))
    return msgspec.json.encode([row.entry.role, parts])

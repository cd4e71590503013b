"""What a response is made of: rows in the session store, or in memory where it is not kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from palaver.core.errors import PalaverError
from palaver.core.events import MessageDone
from palaver.core.generation import Generation
from palaver.core.log import Entry, JournalKind, Row, message_of, visible
from palaver.core.messages import Message
from palaver.models.prompt import all_ids
from palaver.server.drawer import Drawer
from palaver.server.errors import as_api_error
from palaver.server.openai.messages import window
from palaver.server.responses.items import new_id
from palaver.server.service import Service


class ResponseLog:
    """The rows of one response; implements `palaver.core.log.Log` for the server's own tools.

    They have numbers of their own here (below 0), whatever those in the store are.
    """

    def __init__(
        self,
        service: Service,
        drawer: Drawer | None,
        client: str,
        before: Sequence[Row],
        new: Sequence[Message],
    ) -> None:
        """`before` are stored rows that it goes on from, `new` is said now.

        It is kept if there is a `drawer`.
        """
        self.id = new_id("resp")
        self._service = service
        self._drawer = drawer
        self._client = client
        self._before = list(before)
        self._new = list(new)
        self._said = [Row(-i, 0, None, 0.0, message) for i, message in enumerate(new, 1)]
        self.made: list[Row] = []  # since the answer began
        self._at: Row | None = None  # the newest that was stored
        self._beginning = asyncio.Lock()
        self._places = {row.id: row.id for row in before}  # where rows stand in the store
        self._seen: list[Row] = []  # by the model

    @property
    def messages(self) -> list[Message]:
        """The answers, and the results of the server's tools."""
        return [row.entry for row in self.made if isinstance(row.entry, Message)]

    def view(self) -> list[Row]:
        """Return what the model is to answer."""
        rows = visible([*self._before, *self._said, *self.made])
        most = self._service.limits.max_context
        if most is not None:
            kept = window([message_of(row) for row in rows], most)
            rows = [row for row in rows if any(row.entry is one for one in kept)]
        if not self._before:
            rows = self._service.memory.recall(self._client, rows)
        self._seen = rows
        return rows

    async def path(self) -> list[Row]:
        """Return all rows."""
        return [*self._before, *self._said, *self.made]

    async def append(self, entry: Entry, generation: Generation | None = None) -> Row:
        """Write an entry."""
        number = -len(self._said) - len(self.made) - 1
        row = Row(number, 0, None, time.time(), entry, generation)
        if self._drawer:
            await self.begin()
            assert self._at
            self._at = await self._drawer.append(self._at, entry, self._as_stored(generation))
            self._places[number] = self._at.id
        self.made.append(row)
        return row

    async def journal(self, kind: JournalKind, text: str) -> None:
        """Nothing is kept of an answer before it is over."""

    async def printed(self, begun: Row, text: str) -> None:
        """Nothing is kept of what a tool prints but its result."""

    async def begin(self) -> None:
        """Write what was said, once the answer begins: its row names the response.

        Raises ApiError.
        """
        async with self._beginning:  # an answer may end while what was said is written
            if self._drawer is None or self._at:
                return
            try:
                made = await self._drawer.begin(self._client, self._before, self._new)
            except PalaverError as error:
                raise as_api_error(error) from error
            self.id, self._at = made

    async def keep(self, done: MessageDone) -> None:
        """Write an answer. Raises PalaverError."""
        await self.append(done.message, done.generation)

    async def close(self) -> None:
        """Let others write the session."""
        if self._drawer and self._at:
            await self._drawer.release(self._at)

    def _as_stored(self, generation: Generation | None) -> Generation | None:
        """Return a generation that grew from a row of the store, or from none."""
        if generation is None or generation.grew_from is None:
            return generation
        if place := self._places.get(generation.grew_from):
            return msgspec.structs.replace(generation, grew_from=place)
        whole = Row(0, 0, None, 0.0, Message("assistant", ()), generation)
        ids = all_ids(whole, {row.id: row for row in self._seen})
        return msgspec.structs.replace(generation, grew_from=None, kept=0, added=ids)

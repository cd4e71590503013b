"""One session as pages see it: one turn at a time, whoever watches.

It is open for writing here only while something is written: a terminal can go on with it at any
other time, and what it says there is seen here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from palaver.chat.calls import open_calls
from palaver.chat.front import Answer, Front
from palaver.chat.work import LEFT, Worker
from palaver.conversation import Conversation
from palaver.core.errors import UserError
from palaver.server.errors import ApiError
from palaver.server.sessions import told
from palaver.server.sessions.tooling import Bench, Tools, put_back
from palaver.server.sessions.turn import Asked, Turn
from palaver.server.sessions.wire import Wire
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store

_TICK = 1.0  # seconds between two looks at what other processes wrote
_PING = 15  # ticks between two signs of life, for proxies


class Chat:
    """A session, its turn under way and its watchers."""

    def __init__(self, store: AsyncStore, session: int, bench: Bench) -> None:
        self.session = session
        self.turn: Turn | None = None
        self._store = store
        self._bench = bench
        self._tools: Tools | None = None
        self._wire = Wire()
        self._lock = asyncio.Lock()  # held by who opens the session for writing
        self._task: asyncio.Task[None] | None = None
        self._watchers = 0
        self._gone = False
        self._lines: list[str] = []  # to be told with the next new state

    @property
    def tools(self) -> Tools:
        """The session's tools."""
        self._tools = self._tools or Tools(self._bench)
        return self._tools

    # -- writing -------------------------------------------------------------------------

    @asynccontextmanager
    async def writing(self, tip: int | None) -> AsyncIterator[Conversation]:
        """Open the session for writing, if it stands at `tip`. Raises ApiError, UserError.

        It is let go again, unless a turn was begun.
        """
        async with self._lock:
            self._bench.check()
            if self.turn:
                raise ApiError("an answer is under way: stop it first", status=409, code="busy")
            try:
                conversation, _ = await Conversation.resume(self._store, self.session)
            except UserError as error:
                raise ApiError(error.message, status=409, code="elsewhere") from None
            try:
                if (conversation.rows[-1].id if conversation.rows else None) != tip:
                    self._anew()
                    message = "the session has gone on meanwhile: look at it first"
                    raise ApiError(message, status=409, code="moved")
                self._lines = put_back(conversation.rows)
                yield conversation
            finally:
                if self.turn is None:
                    await conversation.leave()

    async def change(
        self, tip: int | None, do: Callable[[Conversation], Awaitable[list[str]]]
    ) -> None:
        """Change where the session stands; the lines that `do` returns are told."""
        async with self.writing(tip) as conversation:
            self._lines += await do(conversation)
            self._anew()

    def _anew(self) -> None:
        """Let watchers begin with the new state, and tell what there is to say of it."""
        self._wire.anew()
        for line in self._lines:
            self._wire.put({"type": "note", "text": line})
        self._lines = []

    async def begin(
        self, tip: int | None, asked: Asked, prepare: Callable[[Conversation], Awaitable[None]]
    ) -> None:
        """Begin a turn after `prepare`; what that wrote is on disk when this returns."""
        async with self.writing(tip) as conversation:
            await prepare(conversation)
            self.start(conversation, asked)

    def start(self, conversation: Conversation, asked: Asked) -> None:
        """Let the model work on a conversation that is open for writing."""
        self._anew()
        self.turn = Turn(conversation, self._wire, self.tools)
        self._task = asyncio.create_task(self._run(self.turn, asked))

    async def _run(self, turn: Turn, asked: Asked) -> None:
        try:
            await turn.run(asked)
        finally:
            async with self._lock:
                self.turn = None
                await turn.conversation.leave()
            idle = {"type": "idle", "step": told.step(turn.conversation.rows)}
            self._wire.put(idle, settles=True)
            self._tidy()

    def _tidy(self) -> None:
        """Forget what nobody will be told again."""
        if not self._watchers and self.turn is None:
            self._wire.anew()

    async def leave_open(self, conversation: Conversation) -> None:
        """Give calls that have no result one, before the user says something else."""
        if open_calls(conversation.rows):
            shop = self.tools.shop(None, conversation.rows)
            await Worker(conversation, shop, Front(lambda _events: None)).close(LEFT)

    # -- the turn under way --------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a turn is under way, or its end is still to be told."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """End the turn under way, if there is one; returns when it is over."""
        task = self._task
        if self.turn and task:
            self.turn.stop()
            await asyncio.wait({task})

    async def over(self) -> None:
        """Wait for the end of the turn under way, if there is one."""
        if self._task:
            await asyncio.wait({self._task})

    def answer(self, digest: str, answer: Answer) -> None:
        """Answer the question that is open. Raises ApiError."""
        if self.turn is None:
            raise ApiError("nothing is asked", status=409, code="moved")
        self.turn.answer(digest, answer)

    # -- watching ------------------------------------------------------------------------

    def end(self) -> None:
        """Let watchers go, who learn that the session was deleted."""
        self._gone = True
        self._wire.anew()

    async def watch(self) -> AsyncGenerator[object]:
        """Yield the session's state, then what happens in it. Raises UserError."""
        self._watchers += 1
        try:
            async with aclosing(self._watch()) as events:
                async for event in events:
                    yield event
        finally:
            self._watchers -= 1
            self._tidy()

    async def _watch(self) -> AsyncGenerator[object]:
        wire = self._wire
        epoch = -1
        at = ticks = 0
        state: dict[str, Any] = {}
        while not self._gone:
            told_all = epoch == wire.epoch and at == len(wire.events)
            if self._bench.ending and not self.busy and (told_all or epoch == -1):
                yield {"type": "ending"}
                return
            if epoch != wire.epoch:
                epoch = wire.epoch
                state, at = await self._state()
                if epoch == wire.epoch:
                    yield state
                continue
            if at < len(wire.events):
                at += 1
                yield wire.events[at - 1]
                continue
            await wire.news(_TICK)
            ticks += 1
            if ticks % _PING == 0:
                yield {"type": "ping"}
            moved = at == len(wire.events) and await self._moved(state)
            if moved and at == len(wire.events):  # what happened meanwhile is told first
                epoch = -1
        yield {"type": "gone"}

    async def _moved(self, state: dict[str, Any]) -> bool:
        """Say whether another process wrote the session, or let it go."""
        async with self._lock:
            if self.turn:
                return False
            try:
                known = await self._store.run(Store.session, self.session)
                if (known.updated, known.title) != state["known"]:
                    return True
                if state["blocked"]:
                    await self._store.run(Store.claim, self.session)
                    await self._store.run(Store.release, self.session)
            except UserError:
                return not state["blocked"]
            return bool(state["blocked"])

    async def _state(self) -> tuple[dict[str, Any], int]:
        """Return what a page begins with, and how many events are in it."""
        blocked = None
        async with self._lock:
            known = await self._store.run(Store.session, self.session)
            turn = self.turn
            if turn is None:
                try:
                    conversation, _ = await Conversation.resume(self._store, self.session)
                    await conversation.leave()
                    rows = conversation.rows
                except UserError as error:
                    blocked = error.message
                    rows = await self._store.run(Store.path, self.session)
                known = await self._store.run(Store.session, self.session)
        if turn:
            rows = turn.rows()
        tip = rows[-1].id if rows else None
        variants = await self._store.run(Store.variants, self.session, tip)
        if turn:  # from here on nothing is waited for: rows and events fit together
            rows = turn.rows()
        asked = turn.question if turn else None
        state = {
            "type": "session",
            **told.session(known),
            "rows": [told.row(row, variants.get(row.id, ())) for row in rows],
            "busy": self.turn is not None,
            "blocked": blocked,
            "step": told.step(rows),
            "question": told.question(asked)["question"],
            "known": (known.updated, known.title),
        }
        return state, self._wire.settled

"""The served model as one conversation sees it: its answers wait for a lane like all others'."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from palaver.core.events import Event, MessageDone, Waiting
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.model import Count, ModelInfo
from palaver.core.tool import ToolSpec
from palaver.models.local import LocalModel
from palaver.server.lanes import Lane
from palaver.server.metrics import Metrics
from palaver.server.service import Served


class Seat:
    """A `palaver.core.model.Model` for the length of a turn."""

    def __init__(self, served: Served, metrics: Metrics, began: float, client: str) -> None:
        """`began` is the conversation's first moment, `client` who waits for its answers."""
        fmt = served.make_format(datetime.date.fromtimestamp(began), None)
        caches = [lane.cache for lane in served.lanes.lanes]
        self._models = [LocalModel(c.engine, fmt, c.states, c) for c in caches]
        self._lanes = served.lanes
        self._metrics = metrics
        self._client = client
        self._stopped = asyncio.Event()
        self._working: LocalModel | None = None
        self.name = self._models[0].name

    @property
    def info(self) -> ModelInfo:
        """What answers."""
        return self._models[0].info

    @property
    def any(self) -> LocalModel:
        """The model on one of the lanes, for what needs no engine."""
        return self._models[0]

    async def respond(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Answer the log; see `palaver.core.model.Model.respond`."""
        prompt = await self.any.prompt(rows, tools)
        if self._lanes.busy == len(self._lanes.lanes):
            yield Waiting("other requests are answered first", 0)
        async with self._model(prompt.ids) as model:
            if model:
                async with aclosing(model.answer(prompt, tools, sampling)) as events:
                    async for event in events:
                        self._count(event)
                        yield event

    async def carry_on(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncGenerator[Event]:
        """Go on with the cut-off reply that the log ends with."""
        before = await self.any.prompt(rows[:-1], tools)
        async with self._model(before.ids) as model:
            if model:
                async for event in model.carry_on(rows, tools, sampling):
                    self._count(event)
                    yield event

    def _count(self, event: Event) -> None:
        if isinstance(event, MessageDone):
            self._metrics.answered(event)

    async def count(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> Count:
        """Count the tokens that the log takes as a prompt."""
        return await self.any.count(rows, tools)

    def cancel(self) -> None:
        """End the answer under way, or the waiting for a lane; later ones do not begin."""
        self._stopped.set()
        if self._working:
            self._working.cancel()

    @asynccontextmanager
    async def _model(self, ids: Sequence[int]) -> AsyncIterator[LocalModel | None]:
        """Wait for a lane; None where the user stops that."""
        async with AsyncExitStack() as stack:
            lane = await self._lane(stack, ids)
            self._working = self._models[lane.number] if lane else None
            try:
                yield self._working
            finally:
                self._working = None

    async def _lane(self, stack: AsyncExitStack, ids: Sequence[int]) -> Lane | None:
        if self._stopped.is_set():
            return None
        taking = asyncio.ensure_future(
            stack.enter_async_context(self._lanes.take(self._client, ids, kept=True))
        )
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({taking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not taking.done():
                taking.cancel()
                await asyncio.wait({taking})
        return None if taking.cancelled() or self._stopped.is_set() else taking.result()

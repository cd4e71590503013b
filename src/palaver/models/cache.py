"""What an engine's cache holds, and how it is filled without reading anything twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from palaver.core.engine import Engine
from palaver.core.errors import EngineError
from palaver.models.kv import States, common_prefix

_WORTH = 32  # tokens; fewer are read faster than a saved state is


class Cache:
    """Keeps book of one engine's cache. `busy` is held by whoever makes the engine work."""

    def __init__(self, engine: Engine, states: States) -> None:
        self.engine = engine
        self.busy = asyncio.Lock()
        self.held: list[int] = []
        self._states = states
        self._warming: asyncio.Task[None] | None = None

    def in_slot(self, ids: Sequence[int]) -> int:
        """Return how many of `ids` the engine's cache itself can serve."""
        common = common_prefix(self.held, list(ids))
        return common if common == len(self.held) or self.engine.info.cut_back else 0

    def reusable(self, ids: Sequence[int]) -> int:
        """Return how many of `ids` need not be read: cached, or saved on disk.

        The last one is always read, because its output is what the next token comes from.
        """
        common = self.in_slot(ids)
        state = self._states.best(ids, common, whole=not self.engine.info.cut_back)
        return min(state.common if state else common, max(len(ids) - 1, 0))

    async def restore(self, ids: Sequence[int]) -> None:
        """Restore the saved state that serves more of `ids` than the cache, if one does."""
        common = self.in_slot(ids)
        state = self._states.best(ids, common + _WORTH, whole=not self.engine.info.cut_back)
        if state is None:
            return
        try:
            held = await self.engine.restore(state.path)
        except EngineError as error:
            if error.died:
                raise
            self.held = []
            return  # a state is a cache: reading the tokens again is always right
        self.held = state.ids if held == len(state.ids) else []
        self._states.touch(state.path)

    async def save(self) -> bool:
        """Save what the cache holds, unless it is saved or too short; return whether it was."""
        async with self.busy:
            if len(self.held) < _WORTH or self._states.has(self.held):
                return False
            scratch = self._states.scratch()
            try:
                await self.engine.save(scratch)
                return self._states.keep(scratch)
            except (EngineError, OSError):
                scratch.unlink(missing_ok=True)
                raise

    async def peek(self) -> list[int] | None:
        """Return the ids that the engine itself says its cache holds, or None."""
        scratch = self._states.scratch()
        try:
            await self.engine.save(scratch)
            ids = self._states.read(scratch)
        except (EngineError, OSError):
            return None
        finally:
            scratch.unlink(missing_ok=True)
        return ids

    async def warm(self, head: Sequence[int]) -> None:
        """Bring `head` into the cache: restore what is saved, read the rest; an answer ends it."""
        if self._warming and not self._warming.done():
            return
        self._warming = asyncio.create_task(self._warm(list(head)))
        await asyncio.wait([self._warming])

    async def _warm(self, head: list[int]) -> None:
        async with self.busy:
            with contextlib.suppress(EngineError):  # the answer itself will meet it, and say so
                await self.restore(head)
                if len(head) - self.in_slot(head) < 2 or len(self.held) > len(head):
                    return
                async for token in self.engine.prefill(head):
                    if token.prefill:
                        self.held = head[: token.prefill[0]]
                    elif token.stop != "cancelled":
                        self.held = head

    async def stop_warming(self) -> None:
        """End a warm-up under way; what it has read stays cached."""
        if self._warming and not self._warming.done():
            self.engine.cancel()
            await asyncio.wait([self._warming])
        self._warming = None

    async def restart(self, threads: int | None = None) -> None:
        """Start the engine anew and bring back the best saved state of what it held."""
        wanted = self.held
        await self.engine.restart(threads)
        self.held = []
        async with self.busy:
            await self.restore(wanted)

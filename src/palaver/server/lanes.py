"""One queue in front of an engine's lanes, each of which answers one request at a time.

A lane has a cache of its own. A request gets the lane that holds most of its prompt, if that is
a third of what the lane holds: else it would cost another conversation more than it saves this
one, and the lane is taken that was used longest ago.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from palaver.core.errors import EngineError
from palaver.models.cache import Cache
from palaver.models.kv import common_prefix
from palaver.server.errors import ApiError

_SAVING = 20.0  # seconds that saving what is cached may take, at the end


class Lane:
    """A place to work in: a cache, and whether somebody works.

    `kept`: what was said here last is kept on disk, so what is cached of it may be, too.
    """

    def __init__(self, number: int, cache: Cache) -> None:
        self.number = number
        self.cache = cache
        self.busy = False
        self.kept = False
        self.used = 0.0  # when somebody worked last


class _Waiting:
    def __init__(self, client: str, ids: list[int]) -> None:
        self.client = client
        self.ids = ids
        self.lane: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()


class Lanes:
    """All lanes, and who waits for one. Clients take turns, whoever asks most."""

    def __init__(self, caches: Sequence[Cache], limit: int) -> None:
        """`limit` is how many requests may wait."""
        self.lanes = [Lane(number, cache) for number, cache in enumerate(caches)]
        self.limit = limit
        self._waiting: dict[str, deque[_Waiting]] = {}  # by client; the first one is next
        self._seconds = 1.0  # that an answer takes, about

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def busy(self) -> int:
        """How many lanes work."""
        return sum(lane.busy for lane in self.lanes)

    @asynccontextmanager
    async def take(
        self, client: str, ids: Sequence[int], *, kept: bool = False
    ) -> AsyncIterator[Lane]:
        """Wait for a lane for a prompt, in turn. Raises ApiError where too many wait.

        `kept` says whether the conversation is kept on disk.
        """
        lane = await self._get(client, list(ids))
        lane.kept = kept
        began = time.monotonic()
        try:
            yield lane
        finally:
            lane.used = time.monotonic()
            self._seconds += 0.1 * (lane.used - began - self._seconds)
            lane.busy = False
            self._next()

    async def _get(self, client: str, ids: list[int]) -> Lane:
        if not self.waiting and (lane := self._best(ids)):
            lane.busy = True
            return lane
        if self.waiting >= self.limit:
            self._turn_away(client)
        mine = _Waiting(client, ids)
        self._waiting.setdefault(client, deque()).append(mine)
        try:
            return await mine.lane
        except asyncio.CancelledError:
            if mine.lane.done() and not mine.lane.cancelled() and not mine.lane.exception():
                mine.lane.result().busy = False
                self._next()
            raise
        finally:
            self._forget(mine)

    def forget_idle(self, own: Lane) -> None:
        """Note that `own` and all lanes that don't work may hold something else now."""
        for lane in self.lanes:
            if lane is own or not lane.busy:
                lane.cache.forget()

    async def save(self) -> None:
        """Save what is cached of conversations that are kept, for the next start."""
        kept = [lane.cache for lane in self.lanes if lane.kept and not lane.busy]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SAVING):
                for cache in kept:
                    with contextlib.suppress(EngineError, OSError):
                        await cache.save()

    def refuse(self, error: Exception) -> None:
        """End all that wait with an error."""
        waiting = [one for queue in self._waiting.values() for one in queue]
        self._waiting.clear()
        for one in waiting:
            if not one.lane.done():
                one.lane.set_exception(error)

    def _turn_away(self, client: str) -> None:
        """Make room by ending the newest request of who has most waiting, or refuse this one."""
        most = max(self._waiting, key=lambda name: len(self._waiting[name]), default=client)
        mine = len(self._waiting.get(client, ()))
        if mine + 1 >= len(self._waiting.get(most, ())):
            raise self._full()
        newest = self._waiting[most][-1]
        self._forget(newest)
        newest.lane.set_exception(self._full())

    def _full(self) -> ApiError:
        after = self._seconds * (self.waiting + 1) / len(self.lanes)
        return ApiError(
            f"{self.waiting} requests wait already, which is the most",
            status=429,
            code="queue_full",
            retry_after=max(1, round(after)),
        )

    def _forget(self, one: _Waiting) -> None:
        queue = self._waiting.get(one.client)
        if queue and one in queue:
            queue.remove(one)
        if not queue:
            self._waiting.pop(one.client, None)

    def _next(self) -> None:
        """Give free lanes to who waits: the first client's oldest request; then it is the last."""
        while self._waiting and not all(lane.busy for lane in self.lanes):
            client = next(iter(self._waiting))
            queue = self._waiting.pop(client)
            one = queue.popleft()
            if queue:
                self._waiting[client] = queue
            lane = self._best(one.ids)
            if lane and not one.lane.done():
                lane.busy = True
                one.lane.set_result(lane)

    def _best(self, ids: list[int]) -> Lane | None:
        free = [lane for lane in self.lanes if not lane.busy]
        if not free:
            return None
        common = {lane.number: common_prefix(lane.cache.held, ids) for lane in free}
        lane = max(free, key=lambda lane: (common[lane.number], -len(lane.cache.held)))
        if common[lane.number] and 3 * common[lane.number] >= len(lane.cache.held):
            return lane
        return min(free, key=lambda lane: (lane.used, len(lane.cache.held)))

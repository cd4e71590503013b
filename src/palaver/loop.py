"""An event loop on a thread of its own, for callers that have none, or one of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """Runs coroutines for blocking code, also where that runs within another loop (notebooks)."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; return at once."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine; return or raise as it does. Ctrl-C cancels it."""
        future = self.start(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def each(self, found: AsyncIterator[T], end: Callable[[], Any]) -> Iterator[T]:
        """Yield what an async iterator yields; `end` is awaited where the caller leaves, too."""

        async def step() -> tuple[T] | None:
            async for one in found:
                return (one,)
            return None

        try:
            while (one := self.wait(step())) is not None:
                yield one[0]
        finally:
            self.wait(end())

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the loop's thread, soon."""
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

"""The store for async code: one thread owns it, everything runs there in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from palaver.sessions.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class AsyncStore:
    """A Store on a thread of its own. Made by `open`.

        row = await store.run(Store.append, session, parent, user("hello"))

    What was begun is finished even if the caller is cancelled while it waits.
    """

    def __init__(self, store: Store, thread: ThreadPoolExecutor) -> None:
        """Use `AsyncStore.open`."""
        self._store = store
        self._thread = thread
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, readonly: bool = False) -> Self:
        """Open the store at `path` on a new thread. Raises StoreError."""
        thread = ThreadPoolExecutor(1, "palaver-store")
        loop = asyncio.get_running_loop()
        try:
            store = await loop.run_in_executor(thread, lambda: Store(path, readonly=readonly))
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(store, thread)

    async def run(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function(store, ...)` on the store's thread, after all that was asked before."""
        loop = asyncio.get_running_loop()
        begun = loop.run_in_executor(self._thread, lambda: function(self._store, *args, **kwargs))
        return await asyncio.shield(begun)

    async def close(self) -> None:
        """Finish what was asked, close the store and end its thread; safe to call twice."""
        if not self._closed:
            self._closed = True
            try:
                await self.run(Store.close)
            finally:
                self._thread.shutdown(wait=False)

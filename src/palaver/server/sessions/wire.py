"""What happens in a session, for whoever watches it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec


class Wire:
    """The events since the state that a page begins with; a new `epoch` begins with a new state."""

    def __init__(self) -> None:
        self.epoch = 0
        self.events: list[msgspec.Raw] = []
        self.settled = 0  # the events before this one are in the log's rows by now
        self._news = asyncio.Event()

    def put(self, event: object, *, settles: bool = False) -> None:
        """Tell an event; `settles`: it stands in the log, as do those before it."""
        self.events.append(msgspec.Raw(msgspec.json.encode(event)))
        if settles:
            self.settled = len(self.events)
        self._wake()

    def anew(self) -> None:
        """Let all who watch begin with the state as it is now."""
        self.epoch += 1
        self.events = []
        self.settled = 0
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> None:
        """Wait for something to happen, no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

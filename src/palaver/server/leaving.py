"""Answers that are kept come to an end of their own, also where nobody waits for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import msgspec

from palaver.core.errors import PalaverError
from palaver.core.events import Event, MessageDone
from palaver.models.local import LocalModel
from palaver.server.calls import CallIds
from palaver.server.errors import as_api_error

Keep = Callable[[MessageDone], Awaitable[None]]


async def kept(events: AsyncGenerator[Event], ids: CallIds, keep: Keep) -> AsyncGenerator[Event]:
    """Yield an answer's events; it is kept before its end is told. Raises ApiError.

    `ids` gives its calls their ids. What was ended before its first word is not kept.
    """
    async with aclosing(events):
        async for event in events:
            if isinstance(event, MessageDone):
                event = msgspec.structs.replace(event, message=ids.named(event.message))
                if event.message.parts or event.message.stop in ("end", "length"):
                    try:
                        await keep(event)
                    except PalaverError as error:
                        raise as_api_error(error) from error
            yield event


class Leaving:
    """Whether who asked has left, and the model that answers them, while one does."""

    def __init__(self) -> None:
        self.left = False
        self.model: LocalModel | None = None

    async def follow(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Yield events. Where nobody takes them any more, the answer is ended within a token and
        its last events are made all the same; one that was not begun is not.
        """
        made: asyncio.Queue[Event | None] = asyncio.Queue()

        async def work() -> None:
            try:
                async with aclosing(events):
                    async for event in events:
                        made.put_nowait(event)
            finally:
                made.put_nowait(None)

        working = asyncio.create_task(work())
        try:
            while (event := await made.get()) is not None:
                yield event
            await working
        finally:
            if not working.done():
                self.left = True
                if self.model:
                    self.model.cancel()
                else:
                    working.cancel()
                await asyncio.gather(working, return_exceptions=True)

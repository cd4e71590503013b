"""Answers that take a while: their work ends within a token when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palaver.server.errors import ApiError, error_response, json_response, our_fault

_SILENCE = 15.0  # seconds after which a stream says that it lives
_PATIENCE = 60.0  # seconds for a client to take what it is sent
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


async def _until_gone(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Do the work; cancel it where the client closes the connection first."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working = asyncio.create_task(work)
    watching = asyncio.create_task(gone())
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, watching):
            task.cancel()
        done = await asyncio.gather(working, watching, return_exceptions=True)
    if isinstance(done[0], Exception):
        raise done[0]


class Whole(Response):
    """An answer of JSON that has to be worked for."""

    def __init__(self, work: Coroutine[None, None, object]) -> None:
        self._work = work
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work, then send."""

        async def answer() -> None:
            try:
                response = json_response(await self._work)
            except ApiError as error:
                response = error_response(error, scope["path"])
            await response(scope, receive, send)

        await _until_gone(receive, answer())


class Stream(Response):
    """Server-sent events. An error before the first of them is an answer with its own status,
    a later one is an event, which is then the last.
    """

    def __init__(self, events: AsyncGenerator[Any], *, named: bool = False) -> None:
        """Each of the `events` is sent as JSON, `named` ones with their `type` before it.

        Where they have no names the end is said by an event of its own.
        """
        self._events = events
        self._named = named
        self._silent = True  # nothing was said so far: an error has a status of its own
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they come."""
        await _until_gone(receive, self._answer(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is made elsewhere: a client that reads slowly holds up nobody's lane."""
        made: asyncio.Queue[bytes | ApiError | None] = asyncio.Queue()
        making = asyncio.create_task(self._make(made.put_nowait))
        try:
            first = await made.get()
            if isinstance(first, ApiError):
                await error_response(first, scope["path"])(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            data: bytes | None = first
            while data is not None:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                except TimeoutError:
                    return  # nobody reads: the connection is closed
                data = await _next(made)
            await send({"type": "http.response.body", "body": b""})
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        making.result()  # an error of ours

    async def _make(self, put: Callable[[bytes | ApiError | None], None]) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    put(self._event(event))
                    self._silent = False
            if not self._named:
                put(b"data: [DONE]\n\n")
        except ApiError as error:
            put(error if self._silent else self._event(error.body()))
        except Exception:
            put(our_fault() if self._silent else self._event(our_fault().body()))
            raise
        finally:
            put(None)

    def _event(self, event: Any) -> bytes:
        name = b"event: %s\n" % event["type"].encode() if self._named and "type" in event else b""
        return name + b"data: " + msgspec.json.encode(event) + b"\n\n"


async def _next(made: asyncio.Queue[Any]) -> bytes | None:
    """Return the events that are there, waiting for one; None at the end, a comment in silence."""
    try:
        async with asyncio.timeout(_SILENCE):
            data: bytes | None = await made.get()
    except TimeoutError:
        return b": palaver works\n\n"  # what stands between sees life
    while data is not None and not made.empty():
        more = made.get_nowait()
        if more is None:
            made.put_nowait(None)
            break
        data += more
    return data

"""Answers that take a while: their work ends within a token when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palaver.server.errors import ApiError, error_response, json_response


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
                response = error_response(error)
            await response(scope, receive, send)

        await _until_gone(receive, answer())


class Stream(Response):
    """Server-sent events. An error before the first of them is an answer with its own status,
    a later one is an event, which is then the last.
    """

    def __init__(self, events: AsyncGenerator[object]) -> None:
        """Each of the `events` is sent as JSON."""
        self._events = events
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they come."""
        await _until_gone(receive, self._answer(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events) as events:
            try:
                first = await anext(events)
            except ApiError as error:
                await error_response(error)(scope, receive, send)
                return
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await _event(send, msgspec.json.encode(first))
            try:
                async for event in events:
                    await _event(send, msgspec.json.encode(event))
                await _event(send, b"[DONE]")
            except ApiError as error:
                await _event(send, msgspec.json.encode(error.body()))
            await send({"type": "http.response.body", "body": b""})


async def _event(send: Send, data: bytes) -> None:
    body = b"data: " + data + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})

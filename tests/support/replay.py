"""A small server that says what it is told to, byte by byte: for faults that no real one shows.

Each connection is answered by the next of its `acts`; the last one answers all that follow.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Act = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Replay:
    """The running server: where it is, and what it was asked so far."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)

    @property
    def chats(self) -> list[Asked]:
        """The requests that were to be answered by a model."""
        return [asked for asked in self.asked if asked.method == "POST"]


@asynccontextmanager
async def replaying(*acts: Act, models: Any = None) -> AsyncIterator[Replay]:
    """Serve; a GET is answered with the list of `models` ("m" alone, if None)."""
    told = Replay(acts=list(acts))
    listed = listing("m") if models is None else models
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            asked = await _read(reader)
            told.asked.append(asked)
            if asked.method == "GET":
                await (listed if callable(listed) else answer(200, listed))(asked, writer)
            else:
                act = told.acts.pop(0) if len(told.acts) > 1 else told.acts[0]
                await act(asked, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield told
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


def listing(*names: str, owner: str = "", **more: Any) -> dict[str, Any]:
    """Write the list of a server's models."""
    return {"object": "list", "data": [{"id": n, "owned_by": owner, **more} for n in names]}


def answer(status: int, body: Any, **headers: str) -> Act:
    """Answer with JSON, or with a text."""

    async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, str) else "application/json"
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + data)
        await writer.drain()

    return act


def stream(data: bytes, *, cut: int | None = None, framing: str = "chunked") -> Act:
    """Answer with an event stream; `cut`: so many bytes of it, then the connection ends."""

    async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(framing) + wrapped(data, framing)[:cut])
        await writer.drain()

    return act


def head(framing: str = "close") -> bytes:
    """Write the head of an answer whose body is an event stream."""
    how = b"Transfer-Encoding: chunked\r\n" if framing == "chunked" else b""
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
    return kind + how + b"\r\n"


def wrapped(data: bytes, framing: str) -> bytes:
    """Write a body; "chunked" has a chunk an event and its own end, "close" ends with the line."""
    if framing == "close":
        return data
    parts = [part + b"\n\n" for part in data.split(b"\n\n") if part]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


async def silence(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Say nothing, for good: a connection of which one half is gone."""
    await asyncio.sleep(3600)


async def hang_up(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """End the connection without a word."""


@contextmanager
def replaying_beside(*acts: Act, models: Any = None) -> Iterator[Replay]:
    """Serve on a thread of its own, for programs that are watched from this one."""
    loop = asyncio.new_event_loop()
    started: Future[Replay] = Future()
    over = asyncio.Event()

    async def run() -> None:
        async with replaying(*acts, models=models) as told:
            started.set_result(told)
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        yield started.result(30)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

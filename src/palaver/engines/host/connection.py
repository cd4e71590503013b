"""One HTTP exchange over a socket, from the answering side; framing is h11's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import h11
import msgspec

_LARGEST = 1 << 28  # bytes of a request: a prompt's ids take some 7 bytes each


class Connection:
    """A client that asks once. Reading and writing raise OSError where it is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._http = h11.Connection(h11.SERVER)
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[h11.Request, bytes]:
        """Read the request and its body; raises h11.RemoteProtocolError for what is none."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(1 << 16))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST:
                    raise h11.RemoteProtocolError("the request is too large")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return head, bytes(body)
            else:
                raise h11.RemoteProtocolError("the connection was closed")

    async def answer(self, status: int, content: object) -> None:
        """Send a whole answer as JSON."""
        data = msgspec.json.encode(content)
        self._head(status, "application/json", ("Content-Length", str(len(data))))
        self._send(h11.Data(data))
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    async def events(self, data: asyncio.Queue[bytes | None], gone: Callable[[], Any]) -> None:
        """Send events as they come, until None; calls `gone` at once where the client leaves.

        What still comes then is taken and dropped.
        """
        left = asyncio.ensure_future(self._left())
        left.add_done_callback(lambda _: gone())
        try:
            self._head(200, "text/event-stream")
            while (event := await data.get()) is not None:
                if not left.done():
                    self._send(h11.Data(b"data: " + event + b"\n\n"))
                    await self._writer.drain()
            if not left.done():
                self._send(h11.EndOfMessage())
                await self._writer.drain()
        finally:
            left.cancel()

    async def _left(self) -> None:
        with contextlib.suppress(OSError):
            while await self._reader.read(1 << 16):
                pass

    def _head(self, status: int, kind: str, *more: tuple[str, str]) -> None:
        headers = [("Content-Type", kind), ("Connection", "close"), *more]
        self._send(h11.Response(status_code=status, headers=headers))

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def close(self) -> None:
        """Close the socket."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

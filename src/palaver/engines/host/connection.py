"""One HTTP exchange over a socket, from the answering side; framing is h11's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Coroutine
from typing import Any

import h11
import msgspec

from palaver.engines.host.slot import Stop

_PAUSE = 0.1  # seconds between two looks whether a slow client has left
_LARGEST = 1 << 28  # bytes of a request: a prompt's ids take some 7 bytes each


class EventStream:
    """Server-sent events written straight to the socket, by the thread that has them.

    Handing each to the event loop's thread would make the two wait for each other's turn at the
    interpreter, token by token: 6 % of a model that takes 12 ms for one.
    """

    def __init__(self, socket: int, stop: Stop, left: Coroutine[Any, Any, None]) -> None:
        """`socket` is a file descriptor that is ours; `left` ends when the client leaves."""
        self._socket = socket
        self._stop = stop
        self._left = asyncio.ensure_future(left)
        self._left.add_done_callback(lambda _: stop.ask())

    def send(self, event: object) -> None:
        """Send one event as JSON; where the client has left, drop it."""
        data = b"data: " + msgspec.json.encode(event) + b"\n\n"
        self.push(b"%x\r\n%b\r\n" % (len(data), data))

    def push(self, data: bytes) -> None:
        """Write bytes; waits for a client that is slow to read."""
        rest = memoryview(data)
        while rest and not self._stop.asked:
            try:
                rest = rest[os.write(self._socket, rest) :]
            except BlockingIOError:
                select.select([], [self._socket], [], _PAUSE)
            except OSError:
                self._stop.ask()

    def finish(self) -> None:
        """Write the answer's end."""
        self.push(b"0\r\n\r\n")

    def close(self) -> None:
        """Let go of the socket; for the event loop's thread."""
        self._left.cancel()
        os.close(self._socket)


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
        self._writer.write(
            self._head(status, "application/json", ("Content-Length", str(len(data))))
        )
        self._writer.write(data)
        await self._writer.drain()

    def stream(self, stop: Stop) -> EventStream:
        """Begin an answer of events, that any thread may send; a client that leaves asks to stop.

        The head goes the same way, so that it stands before them.
        """
        socket = self._writer.get_extra_info("socket")
        events = EventStream(os.dup(socket.fileno()), stop, self._left())
        events.push(self._head(200, "text/event-stream"))
        return events

    async def _left(self) -> None:
        with contextlib.suppress(OSError):
            while await self._reader.read(1 << 16):
                pass

    def _head(self, status: int, kind: str, *more: tuple[str, str]) -> bytes:
        headers = [("Content-Type", kind), ("Connection", "close"), *more]
        return self._http.send(h11.Response(status_code=status, headers=headers)) or b""

    async def close(self) -> None:
        """Close the socket."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

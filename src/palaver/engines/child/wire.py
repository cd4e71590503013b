"""HTTP/1.1 to one server over a unix socket or a loopback port, a connection a request.

Framing is h11's; what is ours is reading server-sent events without a layer in between, because
this is the path of every token.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import h11
import msgspec

from palaver.core.errors import EngineError


class RefusedError(EngineError):
    """The server answered with an error; `status` is HTTP's, `kind` and `details` are its own."""

    def __init__(self, status: int, details: dict[str, Any]) -> None:
        super().__init__(str(details.get("message", f"HTTP status {status}")))
        self.status = status
        self.kind = str(details.get("type", ""))
        self.details = details


class Wire:
    """Where a server listens: `socket` is a path, or empty for 127.0.0.1:`port`."""

    def __init__(self, socket: str, port: int, secret: str) -> None:
        self._socket = socket
        self._port = port
        self._headers = [
            ("Host", "localhost"),
            ("Content-Type", "application/json"),
            ("Connection", "close"),
        ]
        if secret:
            self._headers.append(("Authorization", f"Bearer {secret}"))

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request and return the decoded JSON answer.

        Raises RefusedError for a status of 400 and above, OSError where nobody answers.
        """
        answer = bytearray()
        async with aclosing(self.exchange(method, path, body, lambda _: None)) as parts:
            async for data in parts:
                answer += data
        return msgspec.json.decode(answer)

    def events(self, path: str, body: object) -> EventStream:
        """Prepare one request whose answer is server-sent events."""
        return EventStream(self, path, body)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._socket:
            return await asyncio.open_unix_connection(self._socket)
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def exchange(
        self, method: str, path: str, body: object, opened: Callable[[asyncio.StreamWriter], None]
    ) -> AsyncGenerator[bytes]:
        """Send one request and yield its answer's bytes; `opened` is told of the connection.

        Raises RefusedError for a status of 400 and above, OSError where it breaks.
        """
        reader, writer = await self._connect()
        opened(writer)
        try:
            http = h11.Connection(h11.CLIENT)
            data = msgspec.json.encode(body) if body is not None else b""
            headers = [*self._headers, ("Content-Length", str(len(data)))]
            request = http.send(h11.Request(method=method, target=path, headers=headers))
            writer.write(
                (request or b"")
                + (http.send(h11.Data(data)) or b"")
                + (http.send(h11.EndOfMessage()) or b"")
            )
            await writer.drain()
            refused: int | None = None
            body_of_refusal = b""
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(await reader.read(65536))
                elif isinstance(event, h11.Response):
                    refused = event.status_code if event.status_code >= 400 else None
                elif isinstance(event, h11.Data):
                    if refused:
                        body_of_refusal += bytes(event.data)
                    else:
                        yield bytes(event.data)
                elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    break
            if refused:
                raise RefusedError(refused, _details(body_of_refusal))
        except h11.RemoteProtocolError as error:
            raise ConnectionResetError(str(error)) from error
        finally:
            writer.close()


class EventStream:
    """Server-sent events of one answer. `abort` ends it from outside, also while it waits."""

    def __init__(self, wire: Wire, path: str, body: object) -> None:
        self.aborted = False
        self._writer: asyncio.StreamWriter | None = None
        self._data = wire.exchange("POST", path, body, self._opened)

    def _opened(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        if self.aborted:
            writer.transport.abort()

    def abort(self) -> None:
        """Close the connection: the server stops within a token, the iteration ends."""
        self.aborted = True
        if self._writer:
            self._writer.transport.abort()

    async def events(self) -> AsyncGenerator[bytes]:
        """Yield the data of each event; ends early where it was aborted.

        Raises RefusedError, OSError where the connection breaks. Closing it closes the connection.
        """
        pending = b""
        try:
            async for data in self._data:
                pending += data
                if b"\n\n" not in pending:
                    continue
                *whole, pending = pending.split(b"\n\n")
                for event in whole:
                    if event.startswith(b"data: {"):
                        yield event[6:]
                    elif event.startswith(b"error: "):
                        raise RefusedError(500, _details(event[7:]))
        except OSError:
            if not self.aborted:
                raise
        finally:
            await self._data.aclose()


def _details(data: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {"message": data[:400].decode(errors="replace")}
    inner = answer.get("error", answer) if isinstance(answer, dict) else None
    return inner if isinstance(inner, dict) else {"message": str(answer)[:400]}

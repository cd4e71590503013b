"""The host's routes: the few of llama.cpp's native API that our client uses.

A client that closes its connection ends what it asked for.
"""

from __future__ import annotations

import asyncio
import hmac
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h11
import msgspec

from palaver.core.errors import UserError
from palaver.engines.host import batch
from palaver.engines.host.connection import Connection
from palaver.engines.host.slot import Request, Slot, Stop, read_request

Run = Callable[[Slot, Sequence[Request], Callable[[Any], None], Stop], None]


class RefusedError(Exception):
    """A request that is answered with an HTTP status of 400 and above."""

    def __init__(self, status: int, message: str, **details: object) -> None:
        """`details` stand in the answer beside code and message."""
        super().__init__(message)
        self.status = status
        self.details = {"code": status, "message": message, **details}


class Server:
    """Answers requests for one slot, whose model lives on one thread."""

    def __init__(self, slot: Slot, worker: ThreadPoolExecutor, secret: str, states: Path) -> None:
        """`worker` is that thread; `states` is the folder for saved states."""
        self._slot = slot
        self._worker = worker
        self._key = f"Bearer {secret}".encode()
        self._states = states

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        connection = Connection(reader, writer)
        try:
            head, body = await connection.request()
            try:
                await self._route(head, body, connection)
            except RefusedError as error:
                await connection.answer(error.status, {"error": error.details})
        except (OSError, h11.ProtocolError):
            pass  # the client is gone, or is none of ours
        finally:
            await connection.close()

    async def _route(self, head: h11.Request, data: bytes, connection: Connection) -> None:
        keys = [value for name, value in head.headers if name == b"authorization"]
        if not keys or not hmac.compare_digest(keys[0], self._key):
            raise RefusedError(401, "the key is wrong")
        url = urlsplit(head.target.decode("ascii", "replace"))
        try:
            body = msgspec.json.decode(data, type=dict[str, Any])
            if url.path == "/completion":
                await self._complete([self._request(body)], _one, connection)
            elif url.path == "/batch":
                requests = [self._request(body | {"prompt": p}) for p in body["prompts"]]
                await self._complete(requests, batch.run, connection)
            elif url.path == "/slots/0":
                action = parse_qs(url.query).get("action", [""])[0]
                answer = await self._state(action, str(body["filename"]))
                await connection.answer(200, answer)
            else:
                await connection.answer(200, self._words(url.path, body))
        except UserError as error:
            raise RefusedError(400, str(error)) from None
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise RefusedError(400, f"the request is wrong: {error!r}") from None

    def _words(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        words = self._slot.model.vocabulary
        if path == "/detokenize":
            return {"content": words.decode(body["tokens"])}
        if path != "/tokenize":
            raise RefusedError(404, f"there is no {path} here")
        special, begin = body.get("parse_special", True), body.get("add_special", False)
        return {"tokens": words.encode(str(body["content"]), special=special, begin=begin)}

    def _request(self, body: dict[str, Any]) -> Request:
        request = read_request(body, self._slot.model)
        if len(request.prompt) >= self._slot.context:
            raise RefusedError(
                400,
                "the prompt does not fit into the context",
                type="exceed_context_size_error",
                n_prompt_tokens=len(request.prompt),
                n_ctx=self._slot.context,
            )
        return request

    async def _complete(
        self, requests: Sequence[Request], run: Run, connection: Connection
    ) -> None:
        stop = Stop()
        events = connection.stream(stop)

        def work() -> None:
            try:
                run(self._slot, requests, events.send, stop)
            except Exception as error:  # noqa: BLE001  (whatever the engine raises: told, logged)
                traceback.print_exception(error)
                events.send({"error": {"code": 500, "message": _said(error)}})
            events.finish()

        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, work)
        finally:
            events.close()

    async def _state(self, action: str, name: str) -> dict[str, int]:
        work: dict[str, tuple[Callable[[Path], int], str]] = {
            "save": (self._slot.save, "n_written"),
            "restore": (self._slot.restore, "n_restored"),
        }
        if action not in work or Path(name).name != name:
            raise RefusedError(400, f"there is no action {action!r} with {name!r}")
        run, counted = work[action]
        loop = asyncio.get_running_loop()
        try:
            return {counted: await loop.run_in_executor(self._worker, run, self._states / name)}
        except Exception as error:  # noqa: BLE001  (whatever the engine raises: told, logged)
            traceback.print_exception(error)
            raise RefusedError(400, _said(error)) from None


def _one(slot: Slot, requests: Sequence[Request], emit: Callable[[Any], None], stop: Stop) -> None:
    slot.reply(requests[0], emit, stop)


def _said(error: BaseException) -> str:
    """Return an error's first line; its whole traceback stands in the log."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__

"""What engines have in common whose model a server of others runs: its cache is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from palaver.core.engine import EngineInfo, Tokenizer
from palaver.core.errors import EngineError, UserError
from palaver.engines.child.options import ModelFile
from palaver.engines.child.tokenizer import Call, ChildTokenizer
from palaver.remote.errors import RefusedError, words
from palaver.remote.server import Server
from palaver.remote.until import until


class Attached:
    """One model of a server; see `palaver.core.engine.Engine`.

    Several generations may be under way; `cancel` is for the newest.
    """

    def __init__(
        self, server: Server, file: ModelFile, call: Call, name: str, parallel: int
    ) -> None:
        """`call` answers what a tokenizer asks; `name` is the engine's."""
        self.parallel = parallel
        self.file = file
        self.tokenizer: Tokenizer = ChildTokenizer(call, file, add_bos=file.bos_id is not None)
        self.info = EngineInfo(
            name=name,
            model=file.name,
            context=file.context,
            fingerprint=file.fingerprint,
            threads=0,
            cut_back=True,
            kv_bytes_per_token=0,
            weights_bytes=0,
        )
        self._server = server
        self._stop = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether it may be asked: a server of others always may."""
        return True

    def cancel(self) -> None:
        """End the generation under way; its iterator then yields a last Token, "cancelled"."""
        self._stop.set()

    async def save(self, path: Path) -> int:
        """Refuse: its cache is its own."""
        raise EngineError(f"{self._server.name} saves no states for us")

    async def restore(self, path: Path) -> int:
        """Refuse: its cache is its own."""
        raise EngineError(f"{self._server.name} reads no states of ours")

    async def restart(self, threads: int | None = None) -> None:
        """Let go of connections; the next request makes one."""
        await self._server.close()

    async def better_threads(self) -> int | None:
        """Know nothing of threads."""
        return None

    def peak_memory(self) -> int | None:
        """Know nothing of a server's memory."""
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    def _begin(self, prompt: Sequence[int]) -> asyncio.Event:
        """Begin a generation that `cancel` ends by what is returned. Raises UserError."""
        stop = self._stop = asyncio.Event()
        if len(prompt) >= self.info.context:
            raise UserError(
                f"the prompt takes {len(prompt)} tokens, the context holds {self.info.context}",
                fix="shorten it with /trim",
            )
        return stop

    async def _events(
        self, path: str, body: object, stop: asyncio.Event, *, root: bool = False
    ) -> AsyncGenerator[str]:
        """Ask, and yield the data of each event, until `stop` is set; raises what was refused."""
        stream = self._server.stream(path, body, root=root)
        try:
            async with aclosing(until(stream, stop)) as found:
                async for datas in found:
                    for data in datas:
                        if data.strip() != "[DONE]":
                            yield data
        except RefusedError as error:
            raise refusal(error) from None

    def _read(self, decoder: msgspec.json.Decoder[Any], data: str) -> Any:
        """Decode an event. Raises EngineError where it is none, or says what went wrong."""
        try:
            chunk = decoder.decode(data)
        except msgspec.DecodeError as error:
            raise EngineError(f"{self._server.name} sent what is no chunk: {error}") from None
        if chunk.error:
            code = chunk.error.get("code") if isinstance(chunk.error, dict) else None
            said = words(msgspec.json.encode({"error": chunk.error}))
            status = code if isinstance(code, int) else 500
            raise refusal(RefusedError(self._server.name, status, said))
        return chunk


def refusal(error: RefusedError) -> EngineError | UserError:
    """Say in our words what a server refused; some faults it finds when it has begun."""
    if error.status in (401, 403):
        return UserError(
            f"the server refused the key: {error.said}", fix="endpoint_key or key_env hold it"
        )
    if error.status in (400, 404, 422):
        return UserError(f"the server refused the request: {error.said}")
    return error

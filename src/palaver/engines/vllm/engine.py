"""The client of a vLLM that is ours: a completions server whose process we start and end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from msgspec import structs

from palaver.core.engine import Token
from palaver.core.errors import EngineError
from palaver.core.generation import Sampling
from palaver.engines.child import memory
from palaver.engines.child.options import ModelFile
from palaver.engines.child.process import Child, Progress
from palaver.engines.child.tokenizer import Call
from palaver.engines.completions.engine import Completions
from palaver.engines.completions.words import of_folder
from palaver.engines.vllm.command import ADAPTER
from palaver.remote.listing import Listed
from palaver.remote.server import Server

_IDLE = 900.0  # seconds; a long prompt on a slow processor


class Vllm(Completions):
    """One vLLM and its process; made by `start`."""

    def __init__(self, child: Child, env: dict[str, str], file: ModelFile, call: Call) -> None:
        """Use `start`."""
        model = ADAPTER if child.given.loras else file.name
        super().__init__(_server(child, file), model, file, call)
        self.info = structs.replace(
            self.info,
            name="vllm",
            weights_bytes=file.weights_bytes,
            context=file.context,
            sampling=file.sampling,
        )
        self._child = child
        self._env = env

    @classmethod
    async def start(
        cls, child: Child, env: dict[str, str], progress: Progress | None = None
    ) -> Vllm:
        """Wait for a spawned child and make an engine of it; raises UserError, EngineError."""
        file = await child.ready(progress)
        try:
            folder, listed = Path(child.given.model), Listed(file.name)
            said, call = await of_folder(folder, _server(child, file), listed)
            return cls(child, env, structs.replace(file, bos_id=said.bos_id), call)
        except BaseException:
            child.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.alive

    async def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Token]:
        """Generate after `prompt`; see `palaver.core.engine.Engine.generate`."""
        if not self.alive:
            raise self._died()
        try:
            async with contextlib.aclosing(super().generate(prompt, sampling)) as tokens:
                async for token in tokens:
                    yield token
        except EngineError:
            for _ in range(20):  # the connection breaks a moment before the process is gone
                if not self.alive:
                    raise self._died() from None
                await asyncio.sleep(0.05)
            raise

    def peak_memory(self) -> int | None:
        """See `palaver.core.engine.Engine.peak_memory`."""
        return memory.peak(self._child.process.pid)

    def _died(self) -> EngineError:
        return EngineError(f"vllm ended ({self._child.ending()})", died=True)

    async def restart(self, threads: int | None = None) -> None:
        """End the process and start another with the same settings; its cache is empty then."""
        given = self._child.given
        await self._server.close()
        await asyncio.to_thread(self._child.kill)
        self._child = Child.start(given, self._env, None)
        self._server = _server(self._child, await self._child.ready())

    async def close(self) -> None:
        """End the process; safe to call twice."""
        await self._server.close()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._child.kill)


def _server(child: Child, file: ModelFile) -> Server:
    port = child.model.port if child.model else file.port
    return Server(f"http://127.0.0.1:{port}/v1", child.options.secret, idle=_IDLE)

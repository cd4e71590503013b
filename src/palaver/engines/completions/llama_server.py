"""A llama-server that runs somewhere, by its address, as an Engine: ids in, ids and text out.

It is asked in its native API (tools/server/README.md of llama.cpp), as our own engines are; which
of its slots answers is its own choice: the one whose cache is most like the prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from palaver.core.engine import Token
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling
from palaver.engines.child import native
from palaver.engines.child.options import ModelFile
from palaver.engines.child.tokenizer import Call
from palaver.engines.completions.attached import Attached
from palaver.remote.server import Server

_ANY_SLOT = -1
_decoder = msgspec.json.Decoder(native.Chunk)


class LlamaServer(Attached):
    """One model of a llama-server."""

    def __init__(self, server: Server, file: ModelFile, call: Call, slots: int) -> None:
        """`call` answers what a tokenizer asks."""
        super().__init__(server, file, call, "llama-server", slots)
        self.info = msgspec.structs.replace(self.info, grammars=True)
        self._preserved = sorted(set(file.control) - set(file.eog))

    async def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Token]:
        """Generate after `prompt`; see `palaver.core.engine.Engine.generate`."""
        stop = self._begin(prompt)
        said = ""
        async with aclosing(self._tokens(prompt, sampling, stop)) as tokens:
            async for token in tokens:
                if sampling.json_schema is not None and not said:
                    said = token.text.strip()
                    self._check_follows(said)
                yield token

    async def prefill(self, prompt: Sequence[int]) -> AsyncGenerator[Token]:
        """Read `prompt` into the cache without answering; yields progress and one last Token."""
        stop = self._begin(prompt)
        async with aclosing(self._tokens(prompt, Sampling(max_tokens=0), stop)) as tokens:
            async for token in tokens:
                if token.prefill or token.stop:
                    yield token

    async def _tokens(
        self, prompt: Sequence[int], sampling: Sampling, stop: asyncio.Event
    ) -> AsyncGenerator[Token]:
        body = native.request(prompt, sampling, self._preserved, _ANY_SLOT)
        reply = native.Reply()
        async with aclosing(self._events("/completion", body, stop, root=True)) as events:
            async for data in events:
                token = reply.take(self._read(_decoder, data))
                yield token
                if token.stop:
                    return
        if not stop.is_set():
            raise EngineError(f"{self._server.name} broke off the answer")
        yield reply.cut()

    def _check_follows(self, said: str) -> None:
        """Raise UserError where an answer is no JSON: the server's log alone says why."""
        if said and not native.begins_json(said):
            raise UserError(
                f"{self._server.name} does not follow the schema", fix="its log says what is wrong"
            )

"""A process as an Engine: ids in, tokens out, states saved and restored.

llama.cpp's native API is what all engines of ours speak (docs/adr/0004-one-native-api.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from palaver.core.engine import EngineInfo, Token, Tokenizer
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling
from palaver.engines.child import memory, native
from palaver.engines.child.options import ModelFile, Options
from palaver.engines.child.process import Child, Progress
from palaver.engines.child.threads import allowed, free_cores
from palaver.engines.child.tokenizer import ChildTokenizer, adds_bos
from palaver.engines.child.wire import EventStream, RefusedError, Wire
from palaver.engines.registry import find


class ChildEngine:
    """One loaded model; made by `start`. Not for two generations at a time in one slot.

    It has `Options.parallel` slots, each with a cache of its own; `slot.Slot` is an Engine of one.
    """

    def __init__(self, child: Child, env: dict[str, str], model: ModelFile) -> None:
        """Use `start`."""
        self._env = env
        self._child = child
        self.file = model
        self.tokenizer: Tokenizer = ChildTokenizer(self._call, model, add_bos=False)
        self._streams: dict[int, EventStream] = {}  # of the generations under way, by slot
        self._followed: set[str] = set()  # schemas that were compiled
        self._compiling = asyncio.Lock()
        self._fixed = child.given.threads is not None or not find(child.given.engine).retunes
        self._preserved = sorted(set(model.control) - set(model.eog))
        self.info = _info(model, child.options)

    @classmethod
    async def start(
        cls, child: Child, env: dict[str, str], progress: Progress | None = None
    ) -> ChildEngine:
        """Wait for a spawned child and make an engine of it; raises UserError, EngineError.

        `progress` gets lines for the user while a server is loading.
        """
        engine = cls(child, env, await child.ready(progress))
        file = engine.file
        add_bos = await adds_bos(engine._call, file.bos_id)
        engine.tokenizer = ChildTokenizer(engine._call, file, add_bos=add_bos)
        return engine

    def _wire(self) -> Wire:
        if self._child.wire is None or not self._child.alive:
            raise self._died()
        return self._child.wire

    async def _call(self, method: str, path: str, body: object) -> Any:
        """Ask the server; raises EngineError, RefusedError where it answered with an error."""
        try:
            return await self._wire().call(method, path, body)
        except (OSError, msgspec.DecodeError) as error:
            raise await self._broken(error) from error

    def _died(self) -> EngineError:
        return EngineError(
            f"the engine's process ended ({self._child.ending()})",
            fix=self._child.log_tail(),
            died=True,
        )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.alive

    async def generate(
        self, prompt: Sequence[int], sampling: Sampling, slot: int = 0
    ) -> AsyncGenerator[Token]:
        """Generate after `prompt`; see `palaver.core.engine.Engine.generate`.

        Closing the iterator ends the generation, as `cancel` does.
        """
        body = native.request(prompt, sampling, self._preserved, slot)
        schema = sampling.json_schema
        unknown = schema is not None and schema not in self._followed
        if unknown:  # one at a time: what the log says of a schema is said of this one
            await self._compiling.acquire()
        try:
            logged = self._child.log_size()
            async with contextlib.aclosing(self._tokens(self._begin(slot, body))) as tokens:
                async for token in tokens:
                    if unknown and (token.count or token.stop):
                        await self._check_schema(logged, token.text)
                        self._followed.add(schema or "")
                        self._compiling.release()
                        unknown = False
                    yield token
        finally:
            if unknown:
                self._compiling.release()

    def _begin(self, slot: int, body: dict[str, object]) -> EventStream:
        self._streams[slot] = self._wire().events("/completion", body)
        return self._streams[slot]

    async def _check_schema(self, logged: int, said: str) -> None:
        """Raise UserError where llama.cpp could not compile a schema.

        It says so in its log alone, a moment later, and goes on without the constraint.
        """
        tries = 1 if native.begins_json(said) else 20
        for left in reversed(range(tries)):
            for line in self._child.log_since(logged).splitlines():
                _, found, reason = line.partition("llg error: ")
                if found:
                    raise UserError(f"the engine can't follow the schema: {reason}")
            if left:
                await asyncio.sleep(0.05)

    async def _tokens(self, stream: EventStream) -> AsyncGenerator[Token]:
        reply = native.Reply()
        async with contextlib.aclosing(self._chunks(stream)) as chunks:
            async for chunk in chunks:
                token = reply.take(chunk)
                yield token
                if token.stop:
                    return
        if not stream.aborted:
            raise await self._broken(None)
        yield reply.cut()

    async def _chunks(self, stream: EventStream) -> AsyncGenerator[native.Chunk]:
        """Yield a stream's chunks; raises what the engine refused, or how it failed."""
        try:
            async with contextlib.aclosing(stream.events()) as events:
                async for data in events:
                    chunk = native.decode(data)
                    if chunk.error:
                        raise RefusedError(int(str(chunk.error.get("code", 500))), chunk.error)
                    yield chunk
        except RefusedError as error:
            raise native.refusal(error) from None
        except (OSError, msgspec.DecodeError) as error:
            raise await self._broken(error) from error

    def cancel(self, slot: int = 0) -> None:
        """End the generation under way; its iterator then yields a last Token, "cancelled"."""
        if stream := self._streams.get(slot):
            stream.abort()

    async def _broken(self, error: Exception | None) -> EngineError:
        for _ in range(20):  # the socket closes a moment before the process is gone
            if not self._child.alive:
                return self._died()
            await asyncio.sleep(0.05)
        return EngineError(f"the engine broke off the answer: {error or 'the stream ended early'}")

    async def prefill(self, prompt: Sequence[int], slot: int = 0) -> AsyncGenerator[Token]:
        """Read `prompt` into the cache without answering; yields progress and one last Token."""
        body = native.request(prompt, Sampling(max_tokens=0), self._preserved, slot)
        async with contextlib.aclosing(self._tokens(self._begin(slot, body))) as tokens:
            async for token in tokens:
                if token.prefill or token.stop:
                    yield token

    async def save(self, path: Path, slot: int = 0) -> int:
        """Write the cache's state to `path` in the states' folder; return its bytes."""
        return int((await self._slot("save", path.name, slot))["n_written"])

    async def restore(self, path: Path, slot: int = 0) -> int:
        """Read a state back; return how many tokens it holds.

        The caller has checked the file: a truncated one aborts llama.cpp.
        """
        return int((await self._slot("restore", path.name, slot))["n_restored"])

    async def _slot(self, action: str, name: str, slot: int) -> dict[str, int]:
        body = {"filename": name}
        try:
            answer = await self._call("POST", f"/slots/{slot}?action={action}", body)
        except RefusedError as error:
            raise EngineError(f"the engine can't {action} its state: {error.message}") from None
        return dict(answer)

    async def batch(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> AsyncGenerator[tuple[int, Token]]:
        """Yield each prompt's number and its whole reply, as they end. For a `hosted` engine.

        Closing the iterator ends all.
        """
        body = native.request([], sampling, self._preserved, 0) | {"prompts": [*map(list, prompts)]}
        stream = self._wire().events("/batch", body)
        count = 0
        async with contextlib.aclosing(self._chunks(stream)) as chunks:
            async for chunk in chunks:
                yield chunk.index, native.last(chunk, 0.0)
                count += 1
        if count < len(prompts):
            raise await self._broken(None)

    def peak_memory(self) -> int | None:
        """See `palaver.core.engine.Engine.peak_memory`."""
        return memory.peak(self._child.process.pid)

    @property
    def hosted(self) -> bool:
        """Whether `palaver.engines.host` runs it."""
        return bool(find(self._child.given.engine).opener)

    async def embed(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return a vector of length 1 for each prompt, where `Options.embeddings` is set.

        What slots hold that do not work may be lost by it. Raises UserError, EngineError.
        """
        try:
            body = {"content": [list(prompt) for prompt in prompts]}
            answer = await self._call("POST", "/embedding", body)
        except RefusedError as error:
            raise native.refusal(error) from None
        return [one["embedding"][0] for one in sorted(answer, key=lambda one: one["index"])]

    @property
    def parallel(self) -> int:
        """How many slots it has."""
        return self._child.given.parallel

    async def restart(self, threads: int | None = None) -> None:
        """End the process and start another with the same settings; its cache is empty then.

        `threads` None measures again, unless the user fixed it. Raises as `start` does.
        """
        given = self._child.given
        await asyncio.to_thread(self._child.kill)
        options = msgspec.structs.replace(given, threads=threads or given.threads)
        self._child = Child.start(options, self._env, None)
        self._child.given = given
        self.file = await self._child.ready()
        self.info = _info(self.file, given)

    async def better_threads(self) -> int | None:
        """Measure again how many threads to use; None where the present number is right.

        Asked twice, because changing it costs a new process. None where the user fixed it.
        """
        if self._fixed or allowed() == 1:
            return None
        wanted = await asyncio.to_thread(free_cores)
        if wanted == self.info.threads:
            return None
        await asyncio.sleep(0.2)
        return wanted if wanted == await asyncio.to_thread(free_cores) else None

    async def close(self) -> None:
        """End the process; safe to call twice."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._child.kill)


def _info(model: ModelFile, options: Options) -> EngineInfo:
    return EngineInfo(
        name="llama-server" if options.llama_server else options.engine,
        model=model.name,
        context=model.context,
        fingerprint=model.fingerprint,
        threads=model.threads,
        cut_back=model.cut_back,
        kv_bytes_per_token=model.kv_bytes_per_token,
        weights_bytes=model.weights_bytes,
        window=model.window,
        grammars=find(options.engine).grammars,
        marks=not find(options.engine).opener,
        sampling=model.sampling,
        guidance=options.engine == "llama-cpp" and not options.llama_server,
    )

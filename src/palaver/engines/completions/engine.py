"""A completions server as an Engine: ids in, ids and text out. Its cache is its own.

What is sent and read is vLLM's (docs.vllm.ai, "OpenAI-Compatible Server"), with
`return_token_ids`, which it has since 0.10.2.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct, structs

from palaver.core.engine import Token
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling, Timings
from palaver.engines.child.options import ModelFile
from palaver.engines.child.tokenizer import Call
from palaver.engines.completions.attached import Attached
from palaver.remote.server import Server


class _Logprobs(Struct):
    tokens: list[str] = []  # "token_id:7"
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(Struct):
    text: str = ""
    logprobs: _Logprobs | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    finish_reason: str | None = None


class _Details(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens_details: _Details | None = None


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_AT_A_TIME = 16  # prompts; the server puts them together as it can
_decoder = msgspec.json.Decoder(_Chunk)


class Completions(Attached):
    """A server that speaks vLLM's completions."""

    def __init__(self, server: Server, model: str, file: ModelFile, call: Call) -> None:
        """`model` is its name there; `call` answers what a tokenizer asks."""
        super().__init__(server, file, call, "completions", _AT_A_TIME)
        self._model = model
        self._ends: frozenset[int] | None = None
        self._texts: dict[int, str] = {}  # of tokens whose log-probabilities were asked for

    async def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Token]:
        """Generate after `prompt`; see `palaver.core.engine.Engine.generate`."""
        stop = self._begin(prompt)
        body = self._request(prompt, sampling)
        if self._ends is None:
            self._ends = await self._end_ids()
        state, most = _Generation(len(prompt)), sampling.logprobs or 0
        yield Token(prefill=(0, len(prompt), 0))  # all that is known of its progress
        async with aclosing(self._events("/completions", body, stop)) as events:
            async for data in events:
                for token, likely in self._tokens(data, state, prompt):
                    if likely:
                        entries = await self._likely(likely, most)
                        token = structs.replace(token, logprobs=entries)
                    yield token
        if state.stop is None:
            if not stop.is_set():
                raise EngineError(f"{self._server.name} broke off the answer")
            state.stop = "cancelled"
        yield Token(ids=state.ending, count=state.count, stop=state.stop, timings=state.timings())

    async def _likely(self, said: _Logprobs, most: int) -> tuple[dict[str, object], ...]:
        """Write log-probabilities as the other engines do: ids, texts, the `most` likeliest."""
        found: list[dict[str, object]] = []
        likeliest = said.top_logprobs or []
        for i, (token, logprob) in enumerate(zip(said.tokens, said.token_logprobs, strict=False)):
            top = sorted((likeliest[i] or {}).items(), key=lambda kv: -kv[1]) if likeliest else []
            tops = [await self._one(name, value) for name, value in top[:most]]
            found.append({**await self._one(token, logprob or 0.0), "top_logprobs": tops})
        return tuple(found)

    async def _one(self, name: str, logprob: float) -> dict[str, object]:
        token = int(name.removeprefix("token_id:"))
        if token not in self._texts:
            self._texts[token] = await self.tokenizer.decode([token])
        return {"id": token, "token": self._texts[token], "logprob": logprob}

    def _tokens(
        self, data: str, state: _Generation, prompt: Sequence[int]
    ) -> list[tuple[Token, _Logprobs | None]]:
        """Read an event. Raises EngineError where it is none, or leaves ids out."""
        chunk: _Chunk = self._read(_decoder, data)
        if chunk.usage and (details := chunk.usage.prompt_tokens_details):
            state.cached = min(details.cached_tokens or 0, len(prompt))
        found: list[tuple[Token, _Logprobs | None]] = []
        for choice in chunk.choices[:1]:
            if choice.prompt_token_ids and choice.prompt_token_ids != list(prompt):
                raise EngineError(f"{self._server.name} read another prompt than it was given")
            if choice.text and choice.token_ids is None:
                raise UserError(
                    f"{self._server.name} gives no token ids",
                    fix="vLLM does since 0.10.2; for others use -e chat-endpoint",
                )
            if token := state.take(choice, self._ends or frozenset()):
                found.append((token, choice.logprobs))
        return found

    async def _end_ids(self) -> frozenset[int]:
        ids = [await self.tokenizer.encode(text, special=True) for text in self.tokenizer.eog]
        return frozenset(found[0] for found in ids if len(found) == 1)

    async def prefill(self, prompt: Sequence[int]) -> AsyncGenerator[Token]:
        """Let the server read `prompt`; the one token that it has to sample is thrown away."""
        async with aclosing(self.generate(prompt, Sampling(max_tokens=1))) as tokens:
            async for token in tokens:
                if token.stop and token.timings:
                    yield Token(prefill=(len(prompt), len(prompt), token.timings.reused))
                    yield Token(stop=token.stop, timings=token.timings)

    def _request(self, prompt: Sequence[int], sampling: Sampling) -> dict[str, Any]:
        room = self.info.context - len(prompt)
        most = room if sampling.max_tokens is None else min(sampling.max_tokens, room)
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": list(prompt),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_token_ids": True,
            "skip_special_tokens": False,  # a parser wants to see what marks a call
            "spaces_between_special_tokens": False,
            "max_tokens": max(most, 1),
        }
        for name in (
            *("temperature", "top_k", "top_p", "min_p", "seed"),
            *("presence_penalty", "frequency_penalty"),
        ):
            if (value := getattr(sampling, name)) is not None:
                body[name] = value
        if sampling.repeat_penalty is not None:
            body["repetition_penalty"] = sampling.repeat_penalty
        if sampling.logprobs:
            body |= {"logprobs": sampling.logprobs, "return_tokens_as_token_ids": True}
        if sampling.logit_bias:
            body["logit_bias"] = {str(i): bias for i, bias in sampling.logit_bias}
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.json_schema is not None:
            body["structured_outputs"] = {"json": json.loads(sampling.json_schema)}
        elif sampling.grammar is not None:
            body["structured_outputs"] = {"grammar": sampling.grammar}
        return body


class _Generation:
    """One generation while it comes."""

    def __init__(self, prompt: int) -> None:
        self.count = 0
        self.stop: str | None = None
        self.ending: tuple[int, ...] = ()  # the id of the token that ended the reply
        self.cached = 0
        self._prompt = prompt
        self._began = time.perf_counter()
        self._first = self._last = 0.0

    def take(self, choice: _Choice, ends: frozenset[int]) -> Token | None:
        """Take a chunk; the id that ends the reply is kept for the last Token, which has no text.

        Returns None where nothing else is in it.
        """
        ids = tuple(choice.token_ids or ())
        self.count += len(ids)
        if ids:
            self._last = time.perf_counter()
            self._first = self._first or self._last
        if choice.finish_reason:
            self.stop = "length" if choice.finish_reason == "length" else "end"
            if self.stop == "end" and ids and ids[-1] in ends:
                self.ending, ids = ids[-1:], ids[:-1]
        if not (ids or choice.text):
            return None
        return Token(choice.text, ids, self.count - len(self.ending), timings=self.timings())

    def timings(self) -> Timings:
        """Say what it cost so far. Reading can't be told from the way there and back."""
        first = self._first - self._began if self._first else 0.0
        return Timings(
            reused=self.cached,
            prefilled=self._prompt - self.cached,
            prefill_seconds=first,
            decoded=self.count,
            decode_seconds=self._last - self._first,
            ttft=first,
        )

"""A model from Python without conversation or store, on whatever engine runs it.

from palaver import TextModel

with TextModel("model.gguf") as model:
    print(model.generate("Once upon a time", max_tokens=20))
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import msgspec
from msgspec import Struct

from palaver import assemble
from palaver.config import settings
from palaver.core.engine import EngineInfo, Token
from palaver.core.errors import UserError
from palaver.core.events import MessageDone
from palaver.core.generation import Sampling, Timings
from palaver.core.log import Row
from palaver.core.messages import Message, Text
from palaver.engines.child.batch import Completion, complete
from palaver.launch import start
from palaver.loop import Loop
from palaver.models.local import LocalModel

_LIKELIEST = 1000  # how many tokens `classify` asks the log-probabilities of


class Metrics(Struct, frozen=True):
    """What the last call cost.

    `prompt_tokens` are those that were read, `reused` those that were cached already. Of
    `batch_generate`, `decode_seconds` is the whole call's time. `peak_memory` is in bytes, of the
    engine's process since it began; None where nobody says.
    """

    prompt_tokens: int = 0
    reused: int = 0
    generated_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    peak_memory: int | None = None

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens by the seconds that took."""
        return self.generated_tokens / self.decode_seconds if self.decode_seconds else 0.0


class Classified(Struct, frozen=True):
    """The likeliest of some labels, and the chance of each among them."""

    label: str
    chances: dict[str, float]


class TextModel:
    """A loaded model. `model` is what `palaver -m` takes, other keywords are settings.

    Sampling keywords of a call (`max_tokens`, `temperature`, `seed`, `stop`, ...) take the place
    of those given here. `parallel` is how many prompts `batch_generate` has the engine answer at
    a time, where each needs a cache from the beginning (llama.cpp). Raises UserError, EngineError.
    """

    def __init__(self, model: str | None = None, *, parallel: int = 1, **given: Any) -> None:
        self._settings = settings.load(model=model, **given)
        self._timings: list[Timings] = []
        self._batch = 0.0  # seconds of the last call, where it was one of several prompts
        self._closed = False
        self._loop = Loop()
        try:
            self._model = self._loop.wait(self._open(parallel))
        except BaseException:
            self._loop.close()
            raise

    async def _open(self, parallel: int) -> LocalModel:
        starting = asyncio.to_thread(partial(start, self._settings, parallel=parallel))
        return await assemble.open_local(
            self._settings, started=time.time(), starting=starting, keep_states=False
        )

    @property
    def info(self) -> EngineInfo:
        """What runs the model, and what it can do."""
        return self._model.engine.info

    @property
    def metrics(self) -> Metrics:
        """What the last call cost."""
        times = self._timings
        return Metrics(
            prompt_tokens=sum(t.prefilled for t in times),
            reused=sum(t.reused for t in times),
            generated_tokens=sum(t.decoded for t in times),
            prefill_seconds=0.0 if self._batch else sum(t.prefill_seconds for t in times),
            decode_seconds=self._batch or sum(t.decode_seconds for t in times),
            peak_memory=self._model.engine.peak_memory(),
        )

    # -- generating ----------------------------------------------------------------------

    def generate(self, prompt: str, **sampling: Any) -> str:
        """Complete a raw text: no template, control tokens in it are plain text."""
        return "".join(self.stream(prompt, **sampling))

    def stream(self, prompt: str, **sampling: Any) -> Iterator[str]:
        """Complete a raw text; yield what comes. Leaving the loop stops the model."""
        self._begin()
        pieces = self._stream(prompt, self._sampling(sampling))
        return self._loop.each(pieces, pieces.aclose)

    async def _stream(self, prompt: str, sampling: Sampling) -> AsyncGenerator[str]:
        tokens = self._model.engine.generate(await self._ids(prompt), sampling)
        try:
            async for token in tokens:
                self._note(token)
                if token.text and token.text not in self._model.engine.tokenizer.eog:
                    yield token.text
        finally:
            await tokens.aclose()

    def batch_generate(self, prompts: Sequence[str], **sampling: Any) -> list[str]:
        """Complete raw texts, several at a time where the engine can; in their order."""
        self._begin()

        async def work() -> list[Completion]:
            ids = [await self._ids(prompt) for prompt in prompts]
            return await complete(self._model.engine, ids, self._sampling(sampling))

        began = time.perf_counter()
        found = self._loop.wait(work()) if prompts else []
        self._batch = time.perf_counter() - began
        self._timings = [one.timings for one in found]
        return [one.text for one in found]

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> str:
        """Answer a conversation of {"role", "content"}; returns the answer's text."""
        self._begin()
        if not messages:
            raise UserError("there is no message to answer")
        rows: list[Row] = []
        for number, said in enumerate(messages):
            message = Message(said["role"], (Text(said["content"]),))  # type: ignore[arg-type]
            rows.append(Row(number, 0, number - 1 if number else None, 0.0, message))

        async def work() -> str:
            async for event in self._model.respond(rows, (), self._sampling(sampling)):
                if isinstance(event, MessageDone):
                    self._timings = [event.generation.timings] if event.generation else []
                    return event.message.text
            return ""

        return self._loop.wait(work())

    # -- classifying ---------------------------------------------------------------------

    def classify(self, prompts: Sequence[str], labels: Sequence[str]) -> list[Classified]:
        """Say which label each raw text most likely goes on with: one step of the model each.

        The labels' first tokens decide. Raises UserError where two begin with the same.
        """
        self._begin()
        return self._loop.wait(self._classify(prompts, labels))

    async def _classify(self, prompts: Sequence[str], labels: Sequence[str]) -> list[Classified]:
        found = []
        for prompt in prompts:
            ids = await self._ids(prompt)
            firsts = {label: await self._first(prompt, ids, label) for label in labels}
            if len(set(firsts.values())) < len(labels) or not labels:
                raise UserError(f"labels must begin with different tokens: {', '.join(labels)}")
            asked = Sampling(max_tokens=1, temperature=0.0, logprobs=_LIKELIEST)
            chances: dict[int, float] = {}
            async for token in self._model.engine.generate(ids, asked):
                self._note(token)
                for entry in token.logprobs[:1]:
                    top: Any = entry["top_logprobs"]
                    chances = {one["id"]: math.exp(one["logprob"]) for one in top}
            found.append(_classified({one: chances.get(at, 0.0) for one, at in firsts.items()}))
        return found

    async def _first(self, prompt: str, ids: Sequence[int], label: str) -> int:
        """Return the token that a label begins with where it stands behind the prompt."""
        whole = await self._ids(prompt + label)
        same = next((i for i, (a, b) in enumerate(zip(ids, whole, strict=False)) if a != b), None)
        at = len(ids) if same is None else same
        if at >= len(whole) or at < len(ids):
            raise UserError(f"{label!r} runs into the end of a prompt", fix="end it with a line")
        return whole[at]

    # -- beneath -------------------------------------------------------------------------

    async def _ids(self, prompt: str) -> list[int]:
        tokenizer = self._model.engine.tokenizer
        ids = await tokenizer.encode(prompt, special=False)
        ids = ids if tokenizer.bos_id is None else [tokenizer.bos_id, *ids]
        if not ids:
            raise UserError("the prompt is empty")
        return ids

    def _sampling(self, given: dict[str, Any]) -> Sampling:
        try:
            if "stop" in given:
                given = given | {"stop": tuple(given["stop"])}
            asked = msgspec.structs.replace(assemble.sampling(self._settings), **given)
        except TypeError as error:
            raise UserError(f"this is no setting of sampling: {error}") from None
        return asked.completed(self.info.sampling)

    def _note(self, token: Token) -> None:
        if token.stop and token.timings:
            self._timings = [*self._timings, token.timings]

    def _begin(self) -> None:
        """Begin a call. Raises UserError where the model was closed."""
        if self._closed:
            raise UserError("the model was closed", fix="make a new TextModel")
        self._timings, self._batch = [], 0.0

    def close(self) -> None:
        """End the engine; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._loop.wait(self._model.close())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _classified(chances: dict[str, float]) -> Classified:
    total = sum(chances.values()) or 1.0
    shares = {label: chance / total for label, chance in chances.items()}
    return Classified(max(shares, key=lambda label: shares[label]), shares)

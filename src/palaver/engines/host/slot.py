"""The one sequence that a hosted model holds: what is cached, prefill, decoding, states.

Runs on the thread that owns the model; all that others may do meanwhile is `Stop.ask`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from palaver.core.errors import UserError
from palaver.engines.host import grammar, sampling
from palaver.engines.host.model import HostedModel
from palaver.engines.host.text import Outlet, Piece


class Stop:
    """Whether whoever asked has gone; looked at after every token and every chunk of a prompt."""

    asked = False

    def ask(self) -> None:
        """End the reply at the next look."""
        self.asked = True


class Request(Struct, frozen=True):
    """What is asked of a model; `most` tokens, None: as many as the context holds."""

    prompt: list[int]
    most: int | None
    stops: tuple[str, ...]
    chosen: sampling.Settings
    held: grammar.Held | None = None


class Timings(Struct):
    """As llama.cpp names them."""

    cache_n: int = 0
    prompt_n: int = 0
    prompt_ms: float = 0.0
    predicted_n: int = 0
    predicted_ms: float = 0.0


class Chunk(Struct, omit_defaults=True):
    """One event of a reply, as llama.cpp's native API writes it; `timings` change after it."""

    content: str = ""
    tokens: list[int] = []
    timings: Timings | None = None
    prompt_progress: dict[str, float] | None = None
    stop_type: str | None = None
    stopping_word: str = ""
    completion_probabilities: list[dict[str, Any]] = []


Emit = Callable[[Chunk], None]


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading ids are equal."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


class Slot:
    """A model and the ids in its cache."""

    def __init__(self, model: HostedModel, batch: int) -> None:
        """`batch` is how many tokens of a prompt are read between two looks at `Stop`."""
        self.model = model
        self.context = model.file.context
        self._batch = batch
        self._ids: list[int] = []

    def reply(self, request: Request, emit: Emit, stop: Stop) -> None:
        """Read the prompt, sample until the end, emit chunks; ends early where `stop` is asked.

        An error of the model's leaves the cache empty and is raised.
        """
        if stop.asked:  # while another reply was under way: what is cached stays
            return
        try:
            self._reply(request, emit, stop)
        except BaseException:
            self._forget()
            raise

    def _reply(self, request: Request, emit: Emit, stop: Stop) -> None:
        began = time.perf_counter()
        times = Timings(cache_n=self._take_back(request.prompt))
        times.prompt_n = len(request.prompt) - times.cache_n
        logits = self._read(request.prompt, times, began, emit, stop)
        times.prompt_ms = 1e3 * (time.perf_counter() - began)
        if not stop.asked:
            self._decode(request, logits, times, emit, stop)

    def _take_back(self, prompt: Sequence[int]) -> int:
        """Cut the cache to what the prompt shares with it; its last token is always read."""
        wanted = min(common_prefix(self._ids, prompt), len(prompt) - 1)
        if wanted < len(self._ids):
            left = self.model.crop(wanted)
            del self._ids[left:]
        return len(self._ids)

    def _read(
        self, prompt: Sequence[int], times: Timings, began: float, emit: Emit, stop: Stop
    ) -> Any:
        logits = None
        while not stop.asked and len(self._ids) < len(prompt):
            logits = self._forward(prompt[len(self._ids) : len(self._ids) + self._batch])
            progress = {
                "total": len(prompt),
                "cache": times.cache_n,
                "processed": len(self._ids),
                "time_ms": 1e3 * (time.perf_counter() - began),
            }
            emit(Chunk(prompt_progress=progress))
        return logits

    def _forward(self, ids: Sequence[int]) -> Any:
        logits = self.model.forward(ids)
        self._ids += ids
        return logits

    def _decode(
        self, request: Request, logits: Any, times: Timings, emit: Emit, stop: Stop
    ) -> None:
        words = self.model.vocabulary
        sampler = sampling.Sampler(request.chosen, request.held)
        outlet = Outlet(words.stream(request.prompt), request.stops)
        count = request.chosen.logprobs
        waiting: list[dict[str, Any]] = []  # log-probabilities of ids that the outlet holds back
        most = self.context - len(request.prompt)
        most = most if request.most is None else min(most, request.most)
        began = time.perf_counter()
        kind = "limit"
        while times.predicted_n < most:
            raw = logits.copy() if count else None
            token = sampler.pick(logits, self._ids)
            times.predicted_n += 1
            times.predicted_ms = 1e3 * (time.perf_counter() - began)
            if token in self.model.ends:
                kind = "eos"
                break
            piece = outlet.add(token)
            if raw is not None:
                waiting.append(self._chances(raw, token, count))
            if piece.ids and not piece.stopped:
                emit(Chunk(piece.text, piece.ids, times, completion_probabilities=waiting))
                waiting = []
            if piece.stopped:
                _emit_stopped(piece, times, emit, waiting)
                return
            if stop.asked:
                return
            if times.predicted_n < most:
                logits = self._forward([token])
        rest = outlet.finish()
        if rest.ids and rest.text:
            emit(Chunk(rest.text, rest.ids, times, completion_probabilities=waiting))
        last = ([] if rest.text else rest.ids) + ([token] if kind == "eos" else [])
        emit(Chunk(tokens=last, timings=times, stop_type=kind))

    def _chances(self, logits: Any, picked: int, count: int) -> dict[str, Any]:
        """Write log-probabilities as llama.cpp does: the sampled token's, then the best."""
        found = [
            {"id": i, "token": said, "bytes": list(said.encode()), "logprob": chance}
            for i, chance in sampling.logprobs(logits, picked, count)
            for said in (self.model.vocabulary.decode([i]),)
        ]
        return {**found[0], "top_logprobs": found[1:]}

    def _forget(self) -> None:
        self._ids = []
        self.model.crop(0)

    def save(self, path: Path) -> int:
        """Write the cache to a file; return its bytes."""
        self.model.save(path, self._ids)
        return path.stat().st_size

    def restore(self, path: Path) -> int:
        """Read a cache from a file; return how many tokens it holds."""
        self._ids = []
        self._ids = self.model.restore(path)
        return len(self._ids)


def _emit_stopped(piece: Piece, times: Timings, emit: Emit, chances: list[dict[str, Any]]) -> None:
    if piece.text:
        emit(Chunk(piece.text, piece.ids, times, completion_probabilities=chances))
    emit(
        Chunk(
            tokens=[] if piece.text else piece.ids,
            timings=times,
            stop_type="word",
            stopping_word=piece.stopped,
        )
    )


def read_request(body: dict[str, Any], model: HostedModel) -> Request:
    """Read the body of `/completion`; raises UserError for what can't be done here."""
    prompt = [int(i) for i in body.get("prompt", ())]
    if not prompt:
        raise UserError("the prompt is empty")
    if wrong := [i for i in prompt if not 0 <= i < model.tokens]:
        raise UserError(f"the prompt holds {wrong[0]}, which is no token of this model")
    most = int(body.get("n_predict", -1))
    return Request(
        prompt=prompt,
        most=None if most < 0 else most,
        stops=tuple(str(stop) for stop in body.get("stop", ())),
        chosen=sampling.settings(body, model.file.sampling),
        held=grammar.hold(body, model),
    )

"""llama.cpp's native API, as far as an engine's process and its client speak it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.core.engine import Token
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling, Timings
from palaver.engines.child.wire import RefusedError

_WORD = 1  # llama.cpp's COMMON_GRAMMAR_TRIGGER_TYPE_WORD; one token, as those of a trigger are
_FINAL = ["timings", "stop_type", "stopping_word", "tokens_predicted", "stop"]


class Progress(msgspec.Struct):
    """How far a prompt is read; tokens."""

    total: int
    cache: int
    processed: int


class EngineTimings(msgspec.Struct):
    """What a reply cost so far; tokens and milliseconds."""

    cache_n: int = 0
    prompt_n: int = 0
    prompt_ms: float = 0.0
    predicted_n: int = 0
    predicted_ms: float = 0.0


class Chunk(msgspec.Struct):
    """One event of a reply; `index` says of which prompt, where several were given."""

    content: str = ""
    tokens: list[int] = []
    stop_type: str | None = None
    stopping_word: str = ""
    timings: EngineTimings | None = None
    prompt_progress: Progress | None = None
    completion_probabilities: list[dict[str, object]] = []
    error: dict[str, object] | None = None
    index: int = 0


decode = msgspec.json.Decoder(Chunk).decode


def request(
    prompt: Sequence[int], sampling: Sampling, preserved: list[str], slot: int
) -> dict[str, object]:
    """Write the body of a request; what is unset in `sampling` is left out of it."""
    body: dict[str, object] = {
        "prompt": list(prompt),
        "stream": True,
        "return_tokens": True,
        "timings_per_token": True,
        "return_progress": True,
        "cache_prompt": True,
        "id_slot": slot,
        "preserved_tokens": preserved,
        "response_fields": _FINAL,
        "n_predict": -1 if sampling.max_tokens is None else sampling.max_tokens,
    }
    for name in (
        "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "presence_penalty",
        "frequency_penalty", "seed", "grammar",
    ):  # fmt: skip
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    if sampling.grammar and sampling.trigger:
        body["grammar_lazy"] = True
        body["grammar_triggers"] = [{"type": _WORD, "value": sampling.trigger}]
    if sampling.logit_bias:
        body["logit_bias"] = [list(pair) for pair in sampling.logit_bias]
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.json_schema is not None:
        body["json_schema"] = _schema(sampling.json_schema)
    if sampling.logprobs:
        body["n_probs"] = sampling.logprobs
    return body


def begins_json(said: str) -> bool:
    """Say whether a text could be JSON, going by its first character."""
    return said.lstrip()[:1] in set('{["-0123456789tfn')


def _schema(text: str) -> dict[str, Any]:
    """Read a schema; ask for compact JSON, because where any white space is allowed a weak model
    writes nothing else (the option is llguidance's)."""
    try:
        schema = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UserError(f"the JSON Schema is no JSON object: {error}") from None
    return schema | {"x-guidance": {"whitespace_flexible": False}}


def _timings(t: EngineTimings, ttft: float) -> Timings:
    return Timings(
        reused=t.cache_n,
        prefilled=t.prompt_n,
        prefill_seconds=t.prompt_ms / 1e3,
        decoded=t.predicted_n,
        decode_seconds=t.predicted_ms / 1e3,
        ttft=ttft,
    )


class Reply:
    """Reads a reply's chunks as they come."""

    def __init__(self) -> None:
        """Begin: the request is sent now."""
        self._began = time.perf_counter()
        self._first = 0.0
        self._seen = Token()

    def take(self, chunk: Chunk) -> Token:
        """Read the next chunk; the token of the last has `stop`."""
        if chunk.stop_type is not None:
            return last(chunk, self._ttft())
        if p := chunk.prompt_progress:
            return Token(prefill=(p.processed, p.total, p.cache))
        self._first = self._first or time.perf_counter()
        t = chunk.timings
        self._seen = Token(
            text=chunk.content,
            ids=tuple(chunk.tokens),
            count=t.predicted_n if t else self._seen.count + len(chunk.tokens),
            timings=_timings(t, 0.0) if t else None,
            logprobs=tuple(chunk.completion_probabilities),
        )
        return self._seen

    def cut(self) -> Token:
        """Return the last token of a reply that was cancelled here."""
        seen = self._seen.timings
        timings = msgspec.structs.replace(seen, ttft=self._ttft()) if seen else Timings()
        return Token(count=self._seen.count, stop="cancelled", timings=timings)

    def _ttft(self) -> float:
        return self._first - self._began if self._first else 0.0


def last(chunk: Chunk, ttft: float) -> Token:
    """Read how a reply ended; `ttft` is in seconds."""
    t = chunk.timings or EngineTimings()
    return Token(
        text=chunk.content,
        ids=tuple(chunk.tokens),
        count=t.predicted_n,
        stop="length" if chunk.stop_type == "limit" else "end",
        timings=_timings(t, ttft),
    )


def refusal(error: RefusedError) -> EngineError | UserError:
    """Say in our words what the engine refused, or how it failed."""
    if error.kind == "exceed_context_size_error":
        asked, room = error.details.get("n_prompt_tokens"), error.details.get("n_ctx")
        return UserError(
            f"the prompt takes {asked} tokens, the context holds {room}",
            fix="shorten it with /trim, or start with a larger --context",
        )
    if error.status == 400:
        return UserError(f"the engine refused the request: {error.message}")
    return EngineError(f"the engine failed: {error.message}")

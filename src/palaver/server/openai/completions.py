"""/v1/completions: text or ids of tokens go on as they stand, without a template."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from palaver.core.events import Event, Logprobs, MessageDone, ParserEvent, TextDelta
from palaver.models.prompt import Prompt
from palaver.server import body
from palaver.server.errors import ApiError
from palaver.server.metrics import timings
from palaver.server.openai import asked, said
from palaver.server.openai.asked import CompletionRequest
from palaver.server.replies import Stream, Whole
from palaver.server.service import Service

_USUAL_LENGTH = 16  # tokens, as OpenAI's
_MOST_PROMPTS = 64


async def completions(request: Request) -> Response:
    """Go on with prompts, streamed or whole."""
    service: Service = request.app.state.service
    given = await body.read(request, CompletionRequest)
    characters = len(given.prompt) if isinstance(given.prompt, str) else 0
    service.admit(given.model, characters, "prompt")
    made = Completions(service, given, request.state.client)
    return Stream(made.chunks()) if given.stream else Whole(made.whole())


def prompts(given: str | list[Any], param: str = "prompt") -> list[str | list[int]]:
    """Return the prompts, each a text or ids. Raises ApiError."""
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(one, str) for one in given):
        return _counted(given, param)
    if given and all(_is_id(one) for one in given):
        return [given]
    if given and all(isinstance(one, list) and one and all(map(_is_id, one)) for one in given):
        return _counted(given, param)
    raise ApiError(
        f"{param}: a text, texts, ids of tokens or lists of them are expected", param=param
    )


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _counted(given: list[Any], param: str) -> list[Any]:
    if len(given) > _MOST_PROMPTS:
        raise ApiError(f"{param}: {_MOST_PROMPTS} are the most at a time", param=param)
    return given


class PlainText:
    """Reads a reply as it stands; a Parser."""

    def feed(self, text: str) -> list[ParserEvent]:
        """Take more text."""
        return [TextDelta(text)]

    def finish(self) -> list[ParserEvent]:
        """Nothing was held back."""
        return []


class Completions:
    """One request to go on with prompts."""

    def __init__(self, service: Service, given: CompletionRequest, client: str) -> None:
        """Raises ApiError where the request can't be served."""
        if given.suffix:
            raise ApiError("suffix: filling in is not understood", param="suffix")
        if given.echo and given.logprobs is not None:
            raise ApiError(
                "logprobs: those of a prompt are not known, so not with echo", param="logprobs"
            )
        self._service = service
        self._given = given
        self._client = client
        self._prompts = prompts(given.prompt)
        most = _USUAL_LENGTH if given.max_tokens is None else given.max_tokens
        logprobs = max(1, given.logprobs) if given.logprobs is not None else None
        self._sampling = asked.sampling(
            given, service.usual, most, service.limits.max_tokens, logprobs=logprobs
        )
        self._head: dict[str, Any] = {
            "id": said.new_id("cmpl"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": service.name,
        }

    async def chunks(self) -> AsyncGenerator[object]:
        """Yield the chunks of a stream. Raises ApiError."""
        done: list[list[MessageDone]] = []
        async with aclosing(self._pieces(done)) as pieces:
            async for piece in pieces:
                yield self._head | {"choices": [piece]}
        if self._given.usage_wanted:
            yield self._head | {"choices": [], "usage": _usage(done)}

    async def whole(self) -> object:
        """Return the whole answer. Raises ApiError."""
        choices: dict[int, dict[str, Any]] = {}
        done: list[list[MessageDone]] = []
        async with aclosing(self._pieces(done)) as pieces:
            async for piece in pieces:
                index = piece["index"]
                choices[index] = _joined(choices.get(index), piece)
        return self._head | {"choices": list(choices.values()), "usage": _usage(done)}

    async def _pieces(self, done: list[list[MessageDone]]) -> AsyncGenerator[dict[str, Any]]:
        """Yield pieces of the choices, one after the other; `done` gets those of each prompt."""
        for number, prompt in enumerate(self._prompts):
            ready = await self._service.raw_prompt(prompt)
            done.append([])
            for i in range(self._given.n or 1):
                choice = _Choice(self._given, number * (self._given.n or 1) + i, ready)
                async with aclosing(self._answer(ready, i)) as events:
                    async for event in events:
                        if piece := choice.add(event):
                            yield piece
                        if isinstance(event, MessageDone):
                            done[-1].append(event)

    def _answer(self, prompt: Prompt, number: int) -> AsyncGenerator[Event]:
        sampling = asked.another_seed(self._sampling, number)
        return self._service.go_on(self._client, prompt, sampling, PlainText())


def _usage(done: list[list[MessageDone]]) -> dict[str, Any]:
    parts = [said.usage([timings(one) for one in answers]) for answers in done]
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    cached = sum(part["prompt_tokens_details"]["cached_tokens"] for part in parts)
    made: dict[str, Any] = {name: sum(part[name] for part in parts) for name in names}
    return made | {"prompt_tokens_details": {"cached_tokens": cached}}


def _joined(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Join two pieces of one choice."""
    if one is None:
        return other
    made = one | {name: value for name, value in other.items() if value is not None}
    made["text"] = one["text"] + other["text"]
    if one["logprobs"] and other["logprobs"]:
        made["logprobs"] = {k: one["logprobs"][k] + other["logprobs"][k] for k in one["logprobs"]}
    return made


class _Choice:
    """Makes a choice of its events, piece by piece."""

    def __init__(self, given: CompletionRequest, index: int, prompt: Prompt) -> None:
        self._index = index
        self._given = given
        self._prompt = prompt
        self._echo = prompt.text if given.echo else ""
        self._at = 0  # characters before what comes next
        self._tokens: list[dict[str, Any]] = []

    def add(self, event: Event) -> dict[str, Any] | None:
        """Take an event; return the next piece, if it makes one."""
        if isinstance(event, Logprobs):
            self._tokens += event.tokens
        elif isinstance(event, TextDelta):
            return self._piece(event.text)
        elif isinstance(event, MessageDone):
            made = self._piece("", said.finish_reason(event.message))
            if self._given.return_token_ids and event.generation:
                ids = event.generation.added
                sampled = ids[len(ids) - event.generation.sampled :]
                made["prompt_token_ids"] = list(self._prompt.ids)
                made["token_ids"] = list(sampled) if event.generation.exact else None
            return made
        return None

    def _piece(self, text: str, finish: str | None = None) -> dict[str, Any]:
        text, self._echo = self._echo + text, ""
        made = {
            "text": text,
            "index": self._index,
            "logprobs": self._logprobs(text),
            "finish_reason": finish,
        }
        self._at += len(text)
        return made

    def _logprobs(self, text: str) -> dict[str, Any] | None:
        if self._given.logprobs is None:
            return None
        tokens, self._tokens = (self._tokens, []) if text else ([], self._tokens)
        ends = itertools.accumulate((len(token["token"]) for token in tokens), initial=self._at)
        return {
            "tokens": [token["token"] for token in tokens],
            "token_logprobs": [token["logprob"] for token in tokens],
            "top_logprobs": [self._top(token) for token in tokens],
            "text_offset": list(ends)[:-1],
        }

    def _top(self, token: dict[str, Any]) -> dict[str, float]:
        likely = token.get("top_logprobs", ())[: self._given.logprobs or 0]
        return {one["token"]: one["logprob"] for one in likely}

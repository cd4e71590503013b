"""/v1/messages: Anthropic's API over the same model."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver.core.errors import PalaverError
from palaver.core.events import (
    CallDelta,
    Event,
    MessageDone,
    Prefill,
    ReasoningDelta,
    TextDelta,
)
from palaver.core.messages import Reasoning, Text, ToolCall
from palaver.server import body, calls
from palaver.server.anthropic.input import (
    CountRequest,
    MessagesRequest,
    known_tools,
    to_messages,
)
from palaver.server.errors import ANTHROPIC, ApiError, as_api_error, json_response
from palaver.server.metrics import timings
from palaver.server.openai import asked
from palaver.server.openai.chat import as_log, effort
from palaver.server.openai.tools import choose, specs
from palaver.server.replies import Stream, Whole
from palaver.server.responses.items import new_id
from palaver.server.service import Service, Wanted

Json = dict[str, Any]


async def messages(request: Request) -> Response:
    """Answer, streamed or whole."""
    service: Service = request.app.state.service
    given = await body.read(request, MessagesRequest)
    service.admit(given.model, sum(len(turn.content) for turn in given.messages), "messages")
    made = _Answer(service, given, request.state.client)
    return Stream(made.events(), named=True) if given.stream else Whole(made.whole())


async def count_tokens(request: Request) -> Response:
    """Return how many tokens a conversation takes as a prompt."""
    service: Service = request.app.state.service
    given = await body.read(request, CountRequest)
    service.admit(given.model)
    model = (await service.models())[0]
    try:
        rows = as_log(service, to_messages(given))
        prompt = await model.prompt(rows, specs(known_tools(given)))
    except PalaverError as error:
        raise as_api_error(error, "messages") from error
    return json_response({"input_tokens": len(prompt.ids)})


def _wanted(service: Service, given: MessagesRequest, client: str) -> Wanted:
    """Return what the model is to do. Raises ApiError."""
    sampling = asked.sampling(
        msgspec.structs.replace(given, stop=given.stop_sequences),
        service.usual,
        *(given.max_tokens, service.limits.max_tokens),
    )
    choice = given.tool_choice
    kind = {"any": "required", "none": "none"}.get(choice.type) if choice else None
    name = (choice.name or "") if choice and choice.type == "tool" else None
    tools, forced = choose(specs(known_tools(given)), kind, name)
    return Wanted(
        service.memory.recall(client, as_log(service, to_messages(given))),
        msgspec.structs.replace(sampling, json_schema=given.schema),
        tools,
        forced,
        bool(choice and choice.disable_parallel_tool_use),
        effort(given.effort),
    )


class _Answer:
    """One request."""

    def __init__(self, service: Service, given: MessagesRequest, client: str) -> None:
        """Raises ApiError."""
        self._service = service
        self._given = given
        self._client = client
        self._wanted = _wanted(service, given, client)
        self._ids = calls.CallIds()
        self._head: Json = {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": service.name,
        }

    def _events(self) -> AsyncGenerator[Event]:
        return self._service.answer(self._client, self._wanted, self._ids)

    async def whole(self) -> object:
        """Return the whole answer. Raises ApiError."""
        async with aclosing(self._events()) as events:
            async for event in events:
                if isinstance(event, MessageDone):
                    done = event
        return self._head | {
            "content": _blocks(done, thinking=self._given.shows_thinking),
            **await self._end(done),
            "usage": await self._usage(done),
        }

    async def events(self) -> AsyncGenerator[Json]:
        """Yield the events of a stream. Raises ApiError before the first."""
        stream, begun = _Blocks(self._ids, thinking=self._given.shows_thinking), False
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    if not begun:
                        begun = True
                        yield {"type": "message_start", "message": self._head | _beginning(event)}
                    for made in stream.feed(event):
                        yield made
                    if isinstance(event, MessageDone):
                        end, usage = await self._end(event), await self._usage(event)
                        yield {"type": "message_delta", "delta": end, "usage": usage}
                        yield {"type": "message_stop"}
        except ApiError as error:
            if not begun:
                raise
            yield error.body(ANTHROPIC)

    async def _end(self, done: MessageDone) -> Json:
        """Say why an answer ended."""
        ended = {"end": "end_turn", "length": "max_tokens"}.get(done.message.stop or "end")
        end: Json = {"stop_reason": ended, "stop_sequence": None}
        made, sequences = done.generation, self._given.stop_sequences
        if done.message.calls and ended == "end_turn":
            end["stop_reason"] = "tool_use"
        elif sequences and made and not made.ended_by and ended == "end_turn":
            sampled = made.added[len(made.added) - made.sampled :]
            text = await self._service.decode([*sampled], "stop_sequences")
            # It mostly is behind what was sampled for the answer: then only one is known for sure.
            found = sequences if len(sequences) == 1 else [one for one in sequences if one in text]
            end = {
                "stop_reason": "stop_sequence",
                "stop_sequence": min(found, key=text.find, default=None),
            }
        return end

    async def _usage(self, done: MessageDone) -> Json:
        cost = timings(done)
        thought = await self._service.thought(done.message)
        return _usage(cost.prefilled, cost.reused, cost.decoded) | {
            "output_tokens_details": {"thinking_tokens": thought}
        }


def _usage(read: int, reused: int, made: int) -> Json:
    return {
        "input_tokens": read,
        "cache_read_input_tokens": reused,
        "cache_creation_input_tokens": 0,
        "output_tokens": made,
    }


def _beginning(event: Event) -> Json:
    """Return what a stream begins with: nothing was said, the prompt is known."""
    read = reused = 0
    if isinstance(event, Prefill):
        read, reused = event.total - event.reused, event.reused
    end = {"stop_reason": None, "stop_sequence": None}
    return {"content": [], **end, "usage": _usage(read, reused, 0)}


def _blocks(done: MessageDone, *, thinking: bool) -> list[Json]:
    """Return an answer as blocks."""
    made: list[Json] = []
    for part in done.message.parts:
        if isinstance(part, Text):
            made.append({"type": "text", "text": part.text, "citations": None})
        elif isinstance(part, Reasoning) and thinking:
            made.append({"type": "thinking", "thinking": part.text, "signature": ""})
        elif isinstance(part, ToolCall):
            made.append(_use(part.id, part.name, _input(part.arguments)))
    return made


def _use(call_id: str, name: str, arguments: Json) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _input(arguments: str) -> Json:
    """Return a call's arguments; what is no object is told as Anthropic wants it told."""
    try:
        value = json.loads(arguments or "{}", strict=False)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


class _Blocks:
    """Turns a model's events into those of blocks."""

    def __init__(self, ids: calls.CallIds, *, thinking: bool) -> None:
        self._ids = ids
        self._thinking = thinking
        self._open: object = None  # what the open block is made of
        self._index = -1

    def feed(self, event: Event) -> Iterator[Json]:
        """Take an event of the model; yield those of the API."""
        if isinstance(event, TextDelta):
            yield from self._begin(TextDelta, {"type": "text", "text": "", "citations": None})
            yield self._delta("text_delta", "text", event.text)
        elif isinstance(event, ReasoningDelta) and self._thinking:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield from self._begin(ReasoningDelta, block)
            yield self._delta("thinking_delta", "thinking", event.text)
        elif isinstance(event, CallDelta):
            block = _use(self._ids.of(event.index), event.name or "", {})
            yield from self._begin(event.index, block)
            if event.arguments:
                yield self._delta("input_json_delta", "partial_json", event.arguments)
        elif isinstance(event, MessageDone):
            yield from self._close()

    def _begin(self, kind: object, block: Json) -> Iterator[Json]:
        if kind == self._open:
            return
        yield from self._close()
        self._open = kind
        self._index += 1
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def _close(self) -> Iterator[Json]:
        if self._open is not None:
            yield {"type": "content_block_stop", "index": self._index}
        self._open = None

    def _delta(self, kind: str, field: str, text: str) -> Json:
        delta = {"type": kind, field: text}
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

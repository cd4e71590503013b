"""/v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver.core.events import (
    CallDelta,
    Event,
    Logprobs,
    MessageDone,
    ReasoningDelta,
    TextDelta,
)
from palaver.core.log import Row, visible
from palaver.core.messages import Message
from palaver.server import body, calls
from palaver.server.errors import ApiError
from palaver.server.metrics import timings
from palaver.server.openai import asked, said
from palaver.server.openai.asked import ChatRequest, InMessage, ToolChoice
from palaver.server.openai.messages import to_messages, window
from palaver.server.openai.tools import choose, specs
from palaver.server.replies import Stream, Whole
from palaver.server.service import Service, Wanted


async def completions(request: Request) -> Response:
    """Answer a chat, streamed or whole."""
    service: Service = request.app.state.service
    given = await body.read(request, ChatRequest)
    characters = sum(len(message.content or "") for message in given.messages)
    service.admit(given.model, characters, "messages")
    chat = Chat(service, given, request.state.client)
    return Stream(chat.chunks()) if given.stream else Whole(chat.whole())


def wanted(service: Service, given: ChatRequest, client: str) -> Wanted:
    """Return what the model is to do. Raises ApiError."""
    logprobs = max(1, given.top_logprobs or 0) if given.logprobs else None
    sampling = asked.sampling(
        given,
        service.usual,
        *(given.max_tokens, given.max_completion_tokens, service.limits.max_tokens),
        logprobs=logprobs,
    )
    if given.top_logprobs is not None and not given.logprobs:
        raise ApiError("top_logprobs: needs logprobs to be true", param="top_logprobs")
    choice = given.tool_choice
    name = choice.function.name if isinstance(choice, ToolChoice) else None
    kind = None if isinstance(choice, ToolChoice) else choice
    tools, forced = choose(specs(given.tools or ()), kind, name)
    schema = given.response_format.schema() if given.response_format else None
    return Wanted(
        service.memory.recall(client, as_rows(service, given.messages)),
        msgspec.structs.replace(sampling, json_schema=schema),
        tools,
        forced,
        given.parallel_tool_calls is False,
        effort(given.reasoning_effort),
    )


def as_rows(service: Service, given: Sequence[InMessage]) -> list[Row]:
    """Return a client's messages as a log. Raises ApiError."""
    return as_log(service, to_messages(given))


def as_log(service: Service, messages: list[Message]) -> list[Row]:
    """Return messages as a log, as far as the model is to see them."""
    messages = window(messages, service.limits.max_context)
    return visible([Row(-i, 0, None, 0.0, m) for i, m in enumerate(messages, 1)])


def effort(asked_for: str | None) -> str | None:
    """Return how long a model is to think, in the words that models know."""
    if asked_for in (None, "low", "medium", "high"):
        return asked_for
    return "high" if asked_for == "xhigh" else "low"


class Chat:
    """One request to answer a chat."""

    def __init__(self, service: Service, given: ChatRequest, client: str) -> None:
        """Raises ApiError where the request can't be served."""
        self._service = service
        self._given = given
        self._client = client
        self._wanted = wanted(service, given, client)
        self._head: dict[str, Any] = {
            "id": said.new_id("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": service.name,
        }

    async def chunks(self) -> AsyncGenerator[object]:
        """Yield the chunks of a stream. Raises ApiError."""
        answers: list[MessageDone] = []
        for number in range(self._given.n or 1):
            choice = Choice(self._head, number, self._given)
            async with aclosing(self._choice(number, choice.ids)) as events:
                async for event in events:
                    for chunk in choice.chunks(event):
                        yield chunk
                    if isinstance(event, MessageDone):
                        answers.append(event)
        if self._given.usage_wanted:
            yield self._head | {"choices": [], "usage": await self._usage(answers)}

    async def whole(self) -> object:
        """Return the whole answer. Raises ApiError."""
        answers: list[MessageDone] = []
        choices: list[dict[str, Any]] = []
        for number in range(self._given.n or 1):
            logprobs = _Logprobs(self._given)
            async with aclosing(self._choice(number, calls.CallIds())) as events:
                async for event in events:
                    logprobs.add(event)
                    if isinstance(event, MessageDone):
                        answers.append(event)
            message = answers[-1].message
            choices.append(
                {
                    "index": number,
                    "message": said.message_object(message),
                    "logprobs": logprobs.all(),
                    "finish_reason": said.finish_reason(message),
                }
            )
        kind = {"object": "chat.completion"}
        return self._head | kind | {"choices": choices, "usage": await self._usage(answers)}

    async def _usage(self, answers: list[MessageDone]) -> dict[str, Any]:
        thought = sum([await self._service.thought(done.message) for done in answers])
        return said.usage([timings(done) for done in answers], thought)

    def _choice(self, number: int, ids: calls.CallIds) -> AsyncGenerator[Event]:
        sampling = asked.another_seed(self._wanted.sampling, number)
        rows = self._wanted.rows
        if number:
            rows = self._service.memory.recall(self._client, rows, same=True)
        wanted = msgspec.structs.replace(self._wanted, rows=rows, sampling=sampling)
        return self._service.answer(self._client, wanted, ids)


class _Logprobs:
    """Collects the log-probabilities of what stands in the visible text."""

    def __init__(self, given: ChatRequest) -> None:
        self._wanted = bool(given.logprobs)
        self._most = given.top_logprobs or 0
        self._new: list[dict[str, Any]] = []  # sampled, and not yet known what for
        self._all: list[dict[str, Any]] = []

    def add(self, event: Event) -> dict[str, Any] | None:
        """Take an event; return the object of the text in it, if it is one."""
        if isinstance(event, Logprobs):
            self._new += event.tokens
        elif isinstance(event, TextDelta):
            content = [said.logprob(token, self._most) for token in self._new]
            self._all += content
            self._new = []
            return self._object(content)
        elif isinstance(event, ReasoningDelta | CallDelta):
            self._new = []
        return None

    def all(self) -> dict[str, Any] | None:
        """Return the object of the whole answer."""
        return self._object(self._all)

    def _object(self, content: list[dict[str, Any]]) -> dict[str, Any] | None:
        return {"content": content, "refusal": None} if self._wanted else None


class Choice:
    """One choice of a stream: events as chunks."""

    def __init__(self, head: dict[str, Any], number: int, given: ChatRequest) -> None:
        """`head` is what all chunks have."""
        # Where a stream ends with the usage, OpenAI's other chunks say that they have none.
        self._head = head | {"usage": None} if given.usage_wanted else head
        self._number = number
        self._logprobs = _Logprobs(given)
        self.ids = calls.CallIds()
        self._begun = False
        self._named: set[int] = set()

    def chunks(self, event: Event) -> list[dict[str, Any]]:
        """Return the chunks that an event is."""
        made: list[dict[str, Any]] = []
        if not self._begun:
            self._begun = True
            made.append(self._chunk({"role": "assistant", "content": ""}))
        logprobs = self._logprobs.add(event)
        if isinstance(event, TextDelta):
            made.append(self._chunk({"content": event.text}, logprobs=logprobs))
        elif isinstance(event, ReasoningDelta):
            made.append(self._chunk({"reasoning_content": event.text}))
        elif isinstance(event, CallDelta):
            made.append(self._chunk({"tool_calls": [self._call(event)]}))
        elif isinstance(event, MessageDone):
            made.append(self._chunk({}, said.finish_reason(event.message)))
        return made

    def _call(self, delta: CallDelta) -> dict[str, Any]:
        function = {"arguments": delta.arguments}
        if delta.index in self._named:
            return {"index": delta.index, "function": function}
        self._named.add(delta.index)
        call_id = self.ids.of(delta.index)
        function["name"] = delta.name or ""
        return {"index": delta.index, "id": call_id, "type": "function", "function": function}

    def _chunk(
        self,
        delta: dict[str, Any],
        finish: str | None = None,
        logprobs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        choice = {
            "index": self._number,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish,
        }
        return self._head | {"choices": [choice]}

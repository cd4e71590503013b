"""/v1/chat/completions."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from palaver.core.events import CallDelta, CallParsed, MessageDone, ReasoningDelta, TextDelta
from palaver.core.generation import Timings
from palaver.core.log import Row, visible
from palaver.core.messages import Message
from palaver.server import asked, body
from palaver.server.asked import ChatRequest
from palaver.server.messages import to_messages
from palaver.server.replies import Stream, Whole
from palaver.server.service import Service


async def completions(request: Request) -> Response:
    """Answer a chat, streamed or whole."""
    service: Service = request.app.state.service
    wanted = await body.read(request, ChatRequest)
    service.check_name(wanted.model)
    chat = Chat(service, wanted, request.client.host if request.client else "")
    return Stream(chat.chunks()) if wanted.stream else Whole(chat.whole())


class Chat:
    """One request to answer a chat."""

    def __init__(self, service: Service, wanted: ChatRequest, client: str) -> None:
        """Raises ApiError where the request can't be served."""
        self._service = service
        self._wanted = wanted
        self._client = client
        self._sampling = asked.sampling(wanted, service.usual, service.limits.max_tokens)
        messages = to_messages(wanted.messages)
        self._rows = visible([Row(-i, 0, None, 0.0, m) for i, m in enumerate(messages, 1)])
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": service.name,
        }

    async def chunks(self) -> AsyncGenerator[object]:
        """Yield the chunks of a stream. Raises ApiError."""
        done: MessageDone | None = None
        begun = False
        events = self._service.answer(self._client, self._rows, (), self._sampling)
        async with aclosing(events):
            async for event in events:
                if not begun:
                    begun = True
                    yield self._chunk({"role": "assistant", "content": ""})
                if isinstance(event, MessageDone):
                    done = event
                elif delta := _delta(event):
                    yield self._chunk(delta)
        if done:
            yield self._chunk({}, finish_reason(done.message))
            if self._wanted.usage_wanted:
                yield self._head | {"choices": [], "usage": usage(_timings(done))}

    async def whole(self) -> object:
        """Return the whole answer. Raises ApiError."""
        done: MessageDone | None = None
        events = self._service.answer(self._client, self._rows, (), self._sampling)
        async with aclosing(events):
            async for event in events:
                done = event if isinstance(event, MessageDone) else done
        assert done
        choice = {
            "index": 0,
            "message": message_object(done.message),
            "logprobs": None,
            "finish_reason": finish_reason(done.message),
        }
        return self._head | {
            "object": "chat.completion",
            "choices": [choice],
            "usage": usage(_timings(done)),
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._head | {"choices": [choice]}


def _delta(event: object) -> dict[str, Any] | None:
    if isinstance(event, TextDelta):
        return {"content": event.text}
    if isinstance(event, ReasoningDelta):
        return {"reasoning_content": event.text}
    if isinstance(event, CallDelta | CallParsed):
        return None
    return None


def _timings(done: MessageDone) -> Timings:
    return done.generation.timings if done.generation else Timings()


def usage(timings: Timings) -> dict[str, Any]:
    """Return what an answer cost, in tokens."""
    prompt = timings.reused + timings.prefilled
    return {
        "prompt_tokens": prompt,
        "completion_tokens": timings.decoded,
        "total_tokens": prompt + timings.decoded,
        "prompt_tokens_details": {"cached_tokens": timings.reused},
    }


def finish_reason(message: Message) -> str:
    """Say why an answer ended, in OpenAI's words."""
    if message.stop == "length":
        return "length"
    return "tool_calls" if message.calls else "stop"


def message_object(message: Message) -> dict[str, Any]:
    """Return an answer as OpenAI's object."""
    made: dict[str, Any] = {"role": "assistant", "content": message.text, "refusal": None}
    if message.reasoning:
        made["reasoning_content"] = message.reasoning
    if message.calls:
        made["content"] = message.text or None
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    return made

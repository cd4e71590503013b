"""How answers and what they cost look in OpenAI's API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from palaver.core.generation import Timings
from palaver.core.messages import Message, ToolCall


def new_id(kind: str) -> str:
    """Return an id that nothing else has, such as `chatcmpl-...`."""
    return f"{kind}-{secrets.token_hex(12)}"


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
        made["tool_calls"] = [call_object(call) for call in message.calls]
    return made


def call_object(call: ToolCall) -> dict[str, Any]:
    """Return a call as OpenAI's object."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def usage(answers: Sequence[Timings], thought: int = 0) -> dict[str, Any]:
    """Return what answers to one prompt cost, in tokens. The prompt counts once.

    `thought` tokens of them are reasoning.
    """
    first = answers[0] if answers else Timings()
    prompt = first.reused + first.prefilled
    said = sum(answer.decoded for answer in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {"cached_tokens": first.reused},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def logprob(token: dict[str, Any], most: int) -> dict[str, Any]:
    """Return a token's log-probability and those of the `most` likeliest, as OpenAI's object."""
    made = _logprob(token)
    made["top_logprobs"] = [_logprob(one) for one in token.get("top_logprobs", ())[:most]]
    return made


def _logprob(token: dict[str, Any]) -> dict[str, Any]:
    return {name: token.get(name) for name in ("token", "logprob", "bytes")}

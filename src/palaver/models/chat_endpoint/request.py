"""From a log to the body of a request: messages and tools in OpenAI's shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from palaver.core.errors import UserError
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.messages import Message, Role, Text, ToolCall, ToolResult
from palaver.core.tool import ToolSpec

_ODD = re.compile(r"[^a-zA-Z0-9_-]")  # what names of functions may not hold


def sent_name(name: str) -> str:
    """Return a tool's name as endpoints take it; a dot becomes two underscores."""
    return _ODD.sub("_", name.replace(".", "__"))[:64] or "unnamed"


def names(tools: Sequence[ToolSpec]) -> dict[str, str]:
    """Return the way back from sent names to the tools' own."""
    return {sent_name(tool.name): tool.name for tool in tools}


def tool_dicts(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """Return what the model is told of the tools."""
    return [
        {
            "type": "function",
            "function": {
                "name": sent_name(tool.name),
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in tools
    ]


def message_dicts(
    rows: Sequence[Row], reasoning: str | None = None
) -> list[tuple[Role, dict[str, Any]]]:
    """Return the messages with their roles, one for each result of a tool.

    `reasoning` names the field that the endpoint itself sends reasoning in: that of the turn
    under way is sent back there, because models go on thinking after a tool's result.
    """
    messages = [row.entry for row in rows if isinstance(row.entry, Message)]
    begun = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    found: list[tuple[Role, dict[str, Any]]] = []
    for i, message in enumerate(messages):
        thoughts = reasoning if i > begun else None
        found += [(message.role, made) for made in _dicts(message, thoughts)]
    return found


def _dicts(message: Message, reasoning: str | None) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": part.call_id, "content": part.text}
            for part in message.parts
            if isinstance(part, ToolResult)
        ]
    made: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        made["content"] = message.text or None
        made["tool_calls"] = [_call(call) for call in message.calls]
    if reasoning and message.reasoning:
        made[reasoning] = message.reasoning
    return [made]


def _call(call: ToolCall) -> dict[str, Any]:
    """Write a call. Servers read arguments as JSON: what is none stands there as a text."""
    arguments = call.arguments or "{}"
    try:
        whole = isinstance(json.loads(arguments, strict=False), dict)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        arguments = json.dumps({"arguments": arguments})
    function = {"name": sent_name(call.name), "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def text_of(dicts: Sequence[object]) -> str:
    """Write JSON the way its size is measured and its hash taken."""
    return json.dumps(dicts, ensure_ascii=False, separators=(",", ":"))


def body(
    model: str,
    messages: Sequence[dict[str, Any]],
    tools: Sequence[ToolSpec],
    sampling: Sampling,
    effort: str | None,
) -> dict[str, Any]:
    """Make a request's body. Raises UserError for what an endpoint can't be asked for."""
    if sampling.grammar is not None:
        raise UserError("a chat endpoint takes no grammar", fix="use a JSON Schema, or an engine")
    if sampling.logprobs is not None:
        raise UserError("a chat endpoint gives no log-probabilities here", fix="use an engine")
    made: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if sampling.logit_bias:
        made["logit_bias"] = {str(i): bias for i, bias in sampling.logit_bias}
    for name in (
        *("max_tokens", "temperature", "top_p", "seed", "top_k", "min_p"),
        *("repeat_penalty", "presence_penalty", "frequency_penalty"),
    ):
        if (value := getattr(sampling, name)) is not None:
            made[name] = value
    if sampling.stop:
        made["stop"] = list(sampling.stop)
    if sampling.json_schema is not None:
        schema = json.loads(sampling.json_schema)
        shape = {"name": "answer", "schema": schema, "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": shape}
    if tools:
        made["tools"] = tool_dicts(tools)
    if effort:
        made["reasoning_effort"] = effort
    return made


def begun_text(message: Message) -> str:
    """Return the text of a cut-off reply that an endpoint could go on with; raises UserError."""
    if message.calls or not message.text or not isinstance(message.parts[-1], Text):
        raise UserError(
            "an endpoint goes on with text alone, and this answer was not cut off in its text",
            fix="/retry asks for another one",
        )
    return message.text

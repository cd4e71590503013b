"""What the Responses API takes: its fields, and items as messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from palaver.core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult, system
from palaver.server.errors import ApiError
from palaver.server.openai.asked import (
    Effort,
    Function,
    SamplingFields,
    Tokens,
    Tool,
    schema_text,
)
from palaver.server.openai.messages import text_of

LABEL = "palaver"  # the server's own tools are those of an MCP server of this name
PYTHON = "python"  # and the one that is the code interpreter


class FunctionTool(Struct, tag_field="type", tag="function"):
    """A function that the model may call."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CodeTool(Struct, tag_field="type", tag="code_interpreter"):
    """The server's tool `python`; there are no containers to choose from."""

    container: str | dict[str, Any] | None = None


class ServerTool(Struct, tag_field="type", tag="mcp"):
    """The server's other tools, or some of them."""

    server_label: str
    allowed_tools: Annotated[list[str], Meta(min_length=1)] | None = None


ResponseTool = FunctionTool | CodeTool | ServerTool


class FunctionChoice(Struct, tag_field="type", tag="function"):
    """The function that is to be called."""

    name: str


class CodeChoice(Struct, tag_field="type", tag="code_interpreter"):
    """The server's tool `python` is to be called."""

    @property
    def name(self) -> str:
        """What the model calls it."""
        return PYTHON


class ServerChoice(Struct, tag_field="type", tag="mcp"):
    """One of the server's other tools is to be called."""

    server_label: str
    name: str


class ReasoningOptions(Struct):
    """How long the model is to think."""

    effort: Effort | None = None
    summary: str | None = None


class TextFormat(Struct):
    """The form of an answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    schema: dict[str, Any] | None = None

    def schema_of(self) -> str | None:
        """Return the JSON Schema as text, None for plain text. Raises ApiError."""
        return schema_text(self.type, self.schema, "text.format.schema")


class TextOptions(Struct):
    """`format` is the form of an answer."""

    format: TextFormat = msgspec.field(default_factory=TextFormat)


class ResponseRequest(SamplingFields, kw_only=True):
    """The body of /v1/responses."""

    input: str | list[dict[str, Any]]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    max_output_tokens: Tokens | None = None
    tools: Annotated[list[ResponseTool], Meta(max_length=1024)] | None = None
    tool_choice: (
        Literal["none", "auto", "required"] | FunctionChoice | CodeChoice | ServerChoice | None
    ) = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None
    user: str | None = None

    @property
    def functions(self) -> list[Tool]:
        """The client's functions, as /v1/chat/completions has them."""
        return [
            Tool("function", Function(tool.name, tool.description, tool.parameters))
            for tool in self.tools or ()
            if isinstance(tool, FunctionTool)
        ]

    @property
    def chosen(self) -> tuple[str | None, str | None]:
        """Whether a tool is to be called, or the name of the one that is."""
        if isinstance(self.tool_choice, FunctionChoice | CodeChoice | ServerChoice):
            return None, self.tool_choice.name
        return self.tool_choice, None


def to_messages(given: str | list[dict[str, Any]], before: Sequence[Message]) -> list[Message]:
    """Turn items into messages that go on from those `before`. Raises ApiError.

    What the model thought, said and called, one after the other, is one answer.
    """
    if isinstance(given, str):
        return [Message("user", (Text(given),))]
    if not given:
        raise ApiError("input: it is empty", param="input")
    names = {call.id: call.name for message in before for call in message.calls}
    made: list[Message] = []
    parts: list[Part] = []  # of an answer that goes on
    for i, item in enumerate(given):
        where = f"input[{i}]"
        part = _answered(item, where)
        if part:
            if isinstance(part, ToolCall):
                names[part.id] = part.name
            parts.append(part)
            result = _ran_here(item, part, where)
            if result:
                made += [Message("assistant", tuple(parts), "end"), Message("tool", (result,))]
                parts = []
            continue
        if parts:
            made.append(Message("assistant", tuple(parts), "end"))
            parts = []
        made.append(_message(item, names, where))
    if parts:
        made.append(Message("assistant", tuple(parts), "end"))
    return made


def _answered(item: dict[str, Any], where: str) -> Part | None:
    """Return an item that a model made, as a part of its answer."""
    kind = item.get("type", "message")
    if kind == "function_call":
        values = [_string(item, key, where) for key in ("call_id", "name", "arguments")]
        return ToolCall(*values)
    if kind == "code_interpreter_call":
        call_id, code = (_string(item, key, where) for key in ("id", "code"))
        return ToolCall(call_id, PYTHON, json.dumps({"code": code}, ensure_ascii=False))
    if kind == "mcp_call":
        return ToolCall(*(_string(item, key, where) for key in ("id", "name", "arguments")))
    if kind == "reasoning":
        content = item.get("content")
        if content is not None and not isinstance(content, list):
            raise ApiError(f"{where}.content: a list is expected", param=f"{where}.content")
        texts = [one.get("text") for one in content or () if isinstance(one, dict)]
        return Reasoning("".join(text for text in texts if isinstance(text, str)))
    if kind == "message" and item.get("role") == "assistant":
        return Text(text_of(item.get("content"), where))
    return None


def _ran_here(item: dict[str, Any], part: Part, where: str) -> ToolResult | None:
    """Return the result that an item of the server's own tools holds."""
    if not isinstance(part, ToolCall) or item["type"] == "function_call":
        return None
    if item["type"] == "mcp_call":
        error = item.get("error")
        if error is not None:
            if not isinstance(error, dict):
                raise ApiError(f"{where}.error: an object is expected", param=f"{where}.error")
            text = text_of(error.get("content"), f"{where}.error")
            return ToolResult(part.id, part.name, text, failed=True)
        return ToolResult(part.id, part.name, _string(item, "output", where))
    outputs = item.get("outputs")
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise ApiError(f"{where}.outputs: a list is expected", param=f"{where}.outputs")
    logs = "".join(_string(one, "logs", f"{where}.outputs[{i}]") for i, one in enumerate(outputs))
    return ToolResult(part.id, part.name, logs, failed=item.get("status") == "failed")


def _message(item: dict[str, Any], names: dict[str, str], where: str) -> Message:
    kind, role = item.get("type", "message"), item.get("role")
    if kind == "function_call_output":
        call_id = _string(item, "call_id", where)
        if call_id not in names:
            param = f"{where}.call_id"
            raise ApiError(f"{param}: no call {call_id[:200]!r} came before", param=param)
        text = text_of(item.get("output"), where, "output")
        return Message("tool", (ToolResult(call_id, names[call_id], text),))
    if kind != "message":
        param = f"{where}.type"
        raise ApiError(f"{param}: {str(kind)[:200]!r} is not understood", param=param)
    text = text_of(item.get("content"), where)
    if role in ("system", "developer"):
        return system(text)
    if role != "user":
        param = f"{where}.role"
        raise ApiError(f"{param}: {str(role)[:200]!r} is not understood", param=param)
    return Message("user", (Text(text),))


def _string(item: dict[str, Any], key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise ApiError(f"{where}.{key}: a text is expected", param=f"{where}.{key}")
    return value

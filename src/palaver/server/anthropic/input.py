"""What /v1/messages takes: Anthropic's names for what is asked, and its blocks as messages.

Fields and their limits are those of platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from palaver.core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult, system
from palaver.server.errors import ApiError
from palaver.server.openai.asked import Function, SamplingFields, Stops, Tokens, Tool, schema_text


class TextBlock(Struct, tag_field="type", tag="text"):
    """Text."""

    text: str


class ThinkingBlock(Struct, tag_field="type", tag="thinking"):
    """What the model thought; it is signed elsewhere, here nobody looks at that."""

    thinking: str


class HiddenBlock(Struct, tag_field="type", tag="redacted_thinking"):
    """What another server's model thought; nobody here can read it."""


class UseBlock(Struct, tag_field="type", tag="tool_use"):
    """A call that the model made."""

    id: str
    name: str
    input: dict[str, Any]


class ResultBlock(Struct, tag_field="type", tag="tool_result"):
    """What a call gave."""

    tool_use_id: str
    content: str | list[TextBlock] | None = None
    is_error: bool | None = None


Block = TextBlock | ThinkingBlock | HiddenBlock | UseBlock | ResultBlock


class Turn(Struct):
    """A message as a client sends it."""

    role: Literal["user", "assistant"]
    content: str | Annotated[list[Block], Meta(min_length=1)]


class CustomTool(Struct):
    """A tool of the client's."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: dict[str, Any]
    description: str | None = None
    type: Literal["custom"] | None = None


class Choice(Struct):
    """Whether a tool is to be called, and which."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Struct):
    """Whether the model is to think, and whether that is shown."""

    type: Literal["enabled", "disabled", "adaptive"]
    display: Literal["summarized", "omitted"] | None = None


class JsonFormat(Struct):
    """The form of an answer."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class Output(Struct):
    """How long the model is to think, and the form of its answer."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class CountRequest(SamplingFields, kw_only=True):
    """The body of /v1/messages/count_tokens; how an answer would be sampled changes nothing."""

    messages: Annotated[list[Turn], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: Annotated[list[CustomTool], Meta(max_length=1024)] | None = None


class MessagesRequest(CountRequest, kw_only=True):
    """The body of /v1/messages."""

    max_tokens: Tokens
    stop_sequences: Stops | None = None
    tool_choice: Choice | None = None
    thinking: Thinking | None = None
    output_config: Output | None = None

    @property
    def shows_thinking(self) -> bool:
        """Whether the answer holds what the model thought."""
        asked = self.thinking
        return asked is None or (asked.type != "disabled" and asked.display != "omitted")

    @property
    def effort(self) -> str | None:
        """How long the model is to think, if that was said, in OpenAI's words."""
        if self.output_config and self.output_config.effort:
            return self.output_config.effort.replace("max", "xhigh")
        return "none" if self.thinking and self.thinking.type == "disabled" else None

    @property
    def schema(self) -> str | None:
        """The JSON Schema of the answer, as text."""
        form = self.output_config.format if self.output_config else None
        return schema_text(form.type, form.schema, "output_config.format") if form else None


def known_tools(given: CountRequest) -> list[Tool]:
    """Return the tools as /v1/chat/completions has them."""
    return [
        Tool("function", Function(tool.name, tool.description, tool.input_schema))
        for tool in given.tools or ()
    ]


def to_messages(given: CountRequest) -> list[Message]:
    """Turn what a client sent into messages. Raises ApiError which names what is wrong."""
    made: list[Message] = []
    if head := _text(given.system):
        made.append(system(head))
    names: dict[str, str] = {}  # of the tools called so far, by the calls' ids
    for i, turn in enumerate(given.messages):
        where = f"messages[{i}].content"
        if isinstance(turn.content, str):
            blocks: list[Block] = [TextBlock(turn.content)]
        else:
            blocks = turn.content
        if turn.role == "assistant":
            made.append(_assistant(blocks, names, where))
        else:
            made += _user(blocks, names, where)
    if given.messages[-1].role == "assistant":
        where = f"messages[{len(given.messages) - 1}]"
        raise ApiError(f"{where}: an answer that is begun is not gone on with", param=where)
    return made


def _assistant(blocks: list[Block], names: dict[str, str], where: str) -> Message:
    parts: list[Part] = []
    for i, block in enumerate(blocks):
        if isinstance(block, TextBlock):
            parts.append(Text(block.text))
        elif isinstance(block, ThinkingBlock):
            parts.append(Reasoning(block.thinking))
        elif isinstance(block, UseBlock):
            names[block.id] = block.name
            arguments = json.dumps(block.input, ensure_ascii=False)
            parts.append(ToolCall(block.id, block.name, arguments))
        elif isinstance(block, ResultBlock):
            raise _misplaced(block, f"{where}[{i}]")
    return Message("assistant", tuple(parts), "end")


def _user(blocks: list[Block], names: dict[str, str], where: str) -> list[Message]:
    """Return the results of tools, each a message, then what the user says."""
    made: list[Message] = []
    texts: list[Part] = []
    for i, block in enumerate(blocks):
        if isinstance(block, TextBlock):
            texts.append(Text(block.text))
        elif isinstance(block, ResultBlock):
            made.append(_result(block, names, f"{where}[{i}]"))
        else:
            raise _misplaced(block, f"{where}[{i}]")
    return [*made, Message("user", tuple(texts))] if texts else made


def _result(block: ResultBlock, names: dict[str, str], where: str) -> Message:
    if block.tool_use_id not in names:
        param = f"{where}.tool_use_id"
        shown = block.tool_use_id[:200]
        raise ApiError(f"{param}: no message before has a call {shown!r}", param=param)
    name, text = names[block.tool_use_id], _text(block.content)
    result = ToolResult(block.tool_use_id, name, text, failed=bool(block.is_error))
    return Message("tool", (result,))


def _text(content: str | list[TextBlock] | None) -> str:
    if isinstance(content, list):
        return "".join(block.text for block in content)
    return content or ""


def _misplaced(block: Block, where: str) -> ApiError:
    kind = msgspec.to_builtins(block)["type"]
    return ApiError(f"{where}.type: {kind!r} has no place here", param=f"{where}.type")

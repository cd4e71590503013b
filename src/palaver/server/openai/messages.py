"""A client's messages as ours."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult, system
from palaver.server.errors import ApiError
from palaver.server.openai.asked import InMessage


def to_messages(given: Sequence[InMessage]) -> list[Message]:
    """Turn what a client sent into messages; system messages at the beginning become one.

    Raises ApiError which names the message that is wrong.
    """
    heads: list[str] = []
    made: list[Message] = []
    names: dict[str, str] = {}  # of the functions called so far, by the calls' ids
    for i, one in enumerate(given):
        where = f"messages[{i}]"
        text = text_of(one.content, where)
        if one.role in ("system", "developer"):
            if made:
                made.append(system(text))
            else:
                heads.append(text)
        elif one.role == "assistant":
            names |= {call.id: call.function.name for call in one.tool_calls or ()}
            made.append(_assistant(one, text, where))
        elif one.role == "tool":
            made.append(_result(one, text, names, where))
        else:
            if one.content is None:
                raise ApiError(f"{where}.content is missing", param=f"{where}.content")
            made.append(Message("user", (Text(text),)))
    head = "\n\n".join(text for text in heads if text)
    return [system(head), *made] if head else made


def window(messages: list[Message], most: int | None) -> list[Message]:
    """Return the system message that stands first and the last `most` of the others.

    They begin no later than with the calls whose results are among them.
    """
    if most is None:
        return messages
    head = messages[:1] if messages[:1] and messages[0].role == "system" else []
    turns = messages[len(head) :]
    start = max(0, len(turns) - most)
    while start and turns[start].role == "tool":
        start -= 1
    return [*head, *turns[start:]]


def _assistant(one: InMessage, text: str, where: str) -> Message:
    parts: list[Part] = [Reasoning(one.reasoning_content)] if one.reasoning_content else []
    if text:
        parts.append(Text(text))
    for call in one.tool_calls or ():
        parts.append(ToolCall(call.id, call.function.name, call.function.arguments))
    if not parts and one.content is None:
        raise ApiError(
            f"{where}.content is missing, and so are tool_calls", param=f"{where}.content"
        )
    return Message("assistant", tuple(parts), "end")


def _result(one: InMessage, text: str, names: dict[str, str], where: str) -> Message:
    param = f"{where}.tool_call_id"
    if one.tool_call_id is None:
        raise ApiError(f"{param} is missing", param=param)
    if one.tool_call_id not in names:
        raise ApiError(f"{param}: no message before has a call {one.tool_call_id!r}", param=param)
    return Message("tool", (ToolResult(one.tool_call_id, names[one.tool_call_id], text),))


def text_of(content: object, where: str, field: str = "content") -> str:
    """Return the text of a message's content: a text, or parts of which each is one.

    Raises ApiError which names the part that is none.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        param = f"{where}.{field}"
        raise ApiError(f"{param}: a text or a list of parts is expected", param=param)
    texts: list[str] = []
    for i, part in enumerate(content):
        param = f"{where}.{field}[{i}]"
        if not isinstance(part, dict):
            raise ApiError(f"{param}: an object is expected", param=param)
        kind = part.get("type")
        if kind not in ("text", "refusal", "input_text", "output_text"):
            raise ApiError(
                f"{param}.type: {str(kind)[:200]!r} is not understood, this model reads text alone",
                param=f"{param}.type",
            )
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise ApiError(f"{param}.text: a text is expected", param=f"{param}.text")
        texts.append(text)
    return "".join(texts)

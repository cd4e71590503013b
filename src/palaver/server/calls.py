"""A call that the model is made to write, and the ids of calls."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.core.events import CallDelta, CallParsed, MessageDone, ParserEvent, TextDelta
from palaver.core.format import Format
from palaver.core.messages import Message, Part, ToolCall
from palaver.core.tool import ToolSpec

_NAME = "a_function_of_no_name"
_OPEN = {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"}  # may name more arguments
_COUNTED = re.compile(r"call_\d+")


def call_schema(tools: Sequence[ToolSpec]) -> str:
    """Return the JSON Schema of one call of one of the tools: its name, then its arguments."""
    kinds: list[dict[str, Any]] = []
    for i, tool in enumerate(tools):
        where = f"#/anyOf/{i}/properties/arguments" if len(tools) > 1 else "#/properties/arguments"
        properties = {
            "name": {"type": "string", "enum": [tool.name]},
            "arguments": _closed(_moved(tool.parameters, where)),
        }
        kinds.append(
            {
                "type": "object",
                "properties": properties,
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return msgspec.json.encode(schema).decode()


def _closed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of arguments: no others than are named, where the schema leaves it open."""
    if "properties" in parameters and not _OPEN & parameters.keys():
        parameters = {"additionalProperties": False} | parameters
    return {"type": "object"} | parameters


def call_grammar(schema: str) -> str:
    """Return llguidance's grammar of `call_schema`'s JSON as models write it: with a blank behind
    a colon or a comma, and a line's end behind it all. Many vocabularies have the end of a call,
    quote, braces and that line's end, as one token, and a model has no other way to end it.
    """
    spaces = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
    spaced = msgspec.json.decode(schema) | {"x-guidance": spaces}
    return f"%llguidance {{}}\nstart: call /\\n?/\ncall: %json {json.dumps(spaced)}\n"


def _moved(schema: Any, where: str) -> Any:
    """Return a schema whose references to its own parts lead there from `where`, its new place."""
    if isinstance(schema, list):
        return [_moved(one, where) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _moved(value, where) for name, value in schema.items()}
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#"):
        made["$ref"] = where + ref[1:]
    return made


def opener(fmt: Format, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
    """Return what the model's format writes before the JSON of a call, "" where it is not known.

    It is found by writing a call: `<tool_call>`, a line's end and an object, say.
    """
    call = Message("assistant", (ToolCall("call_1", _NAME, "{}"),), "end")
    prompt = fmt.render(messages, tools, reply=True).text
    whole = fmt.render([*messages, call], tools, reply=False).text
    begun, named, _ = whole.partition(f'{{"name": "{_NAME}"')
    return begun[len(prompt) :] if named and begun.startswith(prompt) else ""


def first(done: MessageDone) -> MessageDone:
    """Return an answer up to its first call, after which it was ended."""
    parts = done.message.parts
    at = next(i for i, part in enumerate(parts) if isinstance(part, ToolCall))
    message = msgspec.structs.replace(done.message, parts=parts[: at + 1], stop="end")
    return msgspec.structs.replace(done, message=message)


class ForcedCall:
    """Reads a reply that is one call as `call_schema` has it; a Parser."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._text: list[str] = []

    def feed(self, text: str) -> list[ParserEvent]:
        """Take more text."""
        self._text.append(text)
        return []

    def finish(self) -> list[ParserEvent]:
        """Return the call; text where it was cut off."""
        text = "".join(self._text)
        try:
            value = json.loads(text)
            name, arguments = value["name"], value["arguments"]
        except (ValueError, TypeError, KeyError):
            return [TextDelta(text)] if text else []
        call = ToolCall("call_1", name, json.dumps(arguments, ensure_ascii=False))
        return [CallDelta(0, call.name, call.arguments), CallParsed(0, call)]


class CallIds:
    """Ids of one answer's calls: the model's own, or new ones where a parser has only counted."""

    def __init__(self) -> None:
        """Begin with no call."""
        self._ids: dict[int, str] = {}

    def of(self, index: int, own: str = "") -> str:
        """Return the id of call number `index`, the same each time."""
        if index not in self._ids:
            counted = not own or _COUNTED.fullmatch(own)
            self._ids[index] = f"call_{secrets.token_hex(12)}" if counted else own
        return self._ids[index]

    def named(self, message: Message) -> Message:
        """Return the message with these ids."""
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                index = sum(isinstance(p, ToolCall) for p in parts)
                part = msgspec.structs.replace(part, id=self.of(index, part.id))
            parts.append(part)
        return msgspec.structs.replace(message, parts=tuple(parts))

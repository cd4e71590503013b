"""Answers as items of the Responses API, whole and as the events of a stream.

A call of the server's own tools is an item that holds its result: the tool `python` is the code
interpreter, each other one that of an MCP server.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from palaver.core.events import (
    CallDelta,
    Event,
    MessageDone,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
)
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from palaver.server.calls import CallIds
from palaver.server.responses.input import LABEL, PYTHON

Item = dict[str, Any]
# Kinds of items of the server's own tools: the field for what was given, and its events.
_OWN = {
    "code_interpreter_call": ("code", "code_interpreter_call_code"),
    "mcp_call": ("arguments", "mcp_call_arguments"),
}


def new_id(kind: str) -> str:
    """Return a new id, such as `msg_...`."""
    return f"{kind}_{secrets.token_hex(12)}"


def text_part(text: str) -> Item:
    """Return a part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_part(text: str) -> Item:
    """Return a part of a reasoning item."""
    return {"type": "reasoning_text", "text": text}


def text_item(text: str, status: str) -> Item:
    """Return a message."""
    content = [text_part(text)] if status != "in_progress" else []
    made = {"id": new_id("msg"), "type": "message", "role": "assistant"}
    return made | {"status": status, "content": content}


def reasoning_item(text: str, status: str) -> Item:
    """Return what the model thought."""
    content = [reasoning_part(text)] if status != "in_progress" else []
    made: Item = {"id": new_id("rs"), "type": "reasoning", "summary": []}
    return made | {"status": status, "content": content}


def call_item(call_id: str, name: str, arguments: str, status: str) -> Item:
    """Return a call."""
    made = {"id": new_id("fc"), "type": "function_call", "call_id": call_id}
    return made | {"name": name, "arguments": arguments, "status": status}


def own_item(call_id: str, name: str, status: str) -> Item:
    """Return a call of one of the server's own tools, as it begins."""
    if name == PYTHON:
        made: Item = {"type": "code_interpreter_call", "code": None, "outputs": None}
        made["container_id"] = LABEL
    else:
        made = {"type": "mcp_call", "server_label": LABEL, "name": name, "arguments": ""}
        made |= {"output": None, "error": None, "approval_request_id": None}
    return {"id": call_id, "status": status} | made


def _fill(item: Item, arguments: str) -> None:
    """Put a call's arguments into its item."""
    if item["type"] == "mcp_call":
        item["arguments"] = arguments
        return
    try:
        code = json.loads(arguments)["code"]
    except (ValueError, TypeError, KeyError):
        code = arguments  # no JSON of the tool's: it did not run
    item["code"] = code if isinstance(code, str) else arguments


def _finish(item: Item, result: ToolResult) -> None:
    """Put a call's result into its item."""
    item["status"] = "failed" if result.failed else "completed"
    if item["type"] == "code_interpreter_call":
        item["outputs"] = [{"type": "logs", "logs": result.text}]
    elif result.failed:
        item["error"] = {
            "type": "mcp_tool_execution_error",
            "content": [{"type": "text", "text": result.text}],
        }
    else:
        item["output"] = result.text


def items(messages: Iterable[Message]) -> list[Item]:
    """Return answers, and the results of the server's own tools among them, as items."""
    parts = [(message, part) for message in messages for part in message.parts]
    results = {part.call_id: part for _, part in parts if isinstance(part, ToolResult)}
    made: list[Item] = []
    for message, part in parts:
        cut = part is message.parts[-1] and message.stop not in (None, "end")
        status = "incomplete" if cut else "completed"
        if isinstance(part, Text):
            made.append(text_item(part.text, status))
        elif isinstance(part, Reasoning):
            made.append(reasoning_item(part.text, status))
        elif isinstance(part, ToolCall) and part.id in results:
            item = own_item(part.id, part.name, "completed")
            _fill(item, part.arguments)
            _finish(item, results[part.id])
            made.append(item)
        elif isinstance(part, ToolCall):
            made.append(call_item(part.id, part.name, part.arguments, status))
    return made


class ItemStream:
    """Turns a model's events into those of items. `done` are the items so far."""

    def __init__(self, own: Container[str]) -> None:
        """`own` are the names of the server's own tools."""
        self.done: list[Item] = []
        self._own = own
        self._ids = CallIds()
        self._item: Item | None = None  # the one that is open
        self._kind: object = None  # what the open one is made of
        self._text: list[str] = []

    def anew(self) -> CallIds:
        """Begin another answer; return what gives its calls their ids."""
        self._ids = CallIds()
        return self._ids

    def feed(self, event: Event) -> Iterator[Item]:
        """Take an event of the model, or of the server's own tools; yield those of the API."""
        if isinstance(event, TextDelta):
            yield from self._open(TextDelta, lambda: text_item("", "in_progress"))
            yield self._delta("response.output_text", event.text) | {"logprobs": []}
        elif isinstance(event, ReasoningDelta):
            yield from self._open(ReasoningDelta, lambda: reasoning_item("", "in_progress"))
            yield self._delta("response.reasoning_text", event.text)
        elif isinstance(event, CallDelta):
            yield from self._call(event)
        elif isinstance(event, ToolStarted) and event.call.name == PYTHON:
            yield self._progress(*self._place(event.call.id), "interpreting")
        elif isinstance(event, ToolFinished):
            yield from self._finished(event.result)
        elif isinstance(event, MessageDone):
            cut = event.message.stop not in (None, "end")
            yield from self.close("incomplete" if cut else "completed")

    def _call(self, event: CallDelta) -> Iterator[Item]:
        name, call_id = event.name or "", self._ids.of(event.index)
        make = own_item if name in self._own else _function_call
        yield from self._open(event.index, lambda: make(call_id, name, "in_progress"))
        if self._item and self._item["type"] != "function_call":
            self._text.append(event.arguments)  # told whole: code stands in it as JSON
        elif event.arguments:
            yield self._delta("response.function_call_arguments", event.arguments)

    def close(self, status: str = "completed") -> Iterator[Item]:
        """End the open item; yield its last events, but for what a tool of ours is to do."""
        item, text = self._item, "".join(self._text)
        if item is None:
            return
        where = self._where()
        if item["type"] in _OWN:
            yield from self._asked(item, text, where)
        else:
            yield from _ended(item, text, where)
            item["status"] = status
            yield _done(item, where["output_index"])
        self.done.append(item)
        self._item, self._kind, self._text = None, None, []

    def _asked(self, item: Item, text: str, where: Item) -> Iterator[Item]:
        """Yield what one of the server's own tools is to do."""
        _fill(item, text)
        field, kind = _OWN[item["type"]]
        yield {"type": f"response.{kind}.delta", "delta": item[field]} | where
        yield {"type": f"response.{kind}.done", field: item[field]} | where

    def _finished(self, result: ToolResult) -> Iterator[Item]:
        """Yield the end of a call of one of the server's own tools."""
        index, item = self._place(result.call_id)
        _finish(item, result)
        # The API's code interpreter has no event for a failure: its item says that.
        failed = item["type"] == "mcp_call" and result.failed
        yield self._progress(index, item, "failed" if failed else "completed")
        yield _done(item, index)

    def _progress(self, index: int, item: Item, what: str) -> Item:
        kind = f"response.{item['type']}.{what}"
        return {"type": kind, "item_id": item["id"], "output_index": index}

    def _place(self, call_id: str) -> tuple[int, Item]:
        return next((i, one) for i, one in enumerate(self.done) if one["id"] == call_id)

    def _open(self, kind: object, make: Callable[[], Item]) -> Iterator[Item]:
        if kind == self._kind:
            return
        yield from self.close()
        made = make()
        self._item, self._kind = made, kind
        index = len(self.done)
        yield {"type": "response.output_item.added", "output_index": index, "item": dict(made)}
        if kind in (TextDelta, ReasoningDelta):
            part = text_part("") if kind is TextDelta else reasoning_part("")
            where = self._where() | {"content_index": 0}
            yield {"type": "response.content_part.added", "part": part} | where
        elif made["type"] in _OWN:
            yield {"type": f"response.{made['type']}.in_progress"} | self._where()

    def _delta(self, kind: str, text: str) -> Item:
        self._text.append(text)
        made = {"type": f"{kind}.delta", "delta": text} | self._where()
        return made if isinstance(self._kind, int) else made | {"content_index": 0}

    def _where(self) -> Item:
        return {"item_id": (self._item or {})["id"], "output_index": len(self.done)}


def _function_call(call_id: str, name: str, status: str) -> Item:
    return call_item(call_id, name, "", status)


def _done(item: Item, index: int) -> Item:
    return {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def _ended(item: Item, text: str, where: Item) -> Iterator[Item]:
    """Fill an item with its text; yield the events that end it."""
    if item["type"] == "function_call":
        item["arguments"] = text
        kind = "response.function_call_arguments.done"
        yield {"type": kind, "arguments": text, "name": item["name"]} | where
        return
    said = item["type"] == "message"
    part = text_part(text) if said else reasoning_part(text)
    item["content"] = [part]
    inside = where | {"content_index": 0}
    name = "output_text" if said else "reasoning_text"
    more: Item = {"logprobs": []} if said else {}
    yield {"type": f"response.{name}.done", "text": text} | inside | more
    yield {"type": "response.content_part.done", "part": part} | inside

"""Answers as items of the Responses API, whole and as the events of a stream."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from palaver.core.events import CallDelta, Event, ReasoningDelta, TextDelta
from palaver.core.messages import Message, Reasoning, Text, ToolCall
from palaver.server.calls import CallIds

Item = dict[str, Any]


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


def items(message: Message) -> list[Item]:
    """Return a whole answer as items."""
    made: list[Item] = []
    last = len(message.parts) - 1
    for i, part in enumerate(message.parts):
        cut = i == last and message.stop == "length"
        status = "incomplete" if cut else "completed"
        if isinstance(part, Text):
            made.append(text_item(part.text, status))
        elif isinstance(part, Reasoning):
            made.append(reasoning_item(part.text, status))
        elif isinstance(part, ToolCall):
            made.append(call_item(part.id, part.name, part.arguments, status))
    return made


class ItemStream:
    """Turns a model's events into those of items. `done` are the items so far."""

    def __init__(self, ids: CallIds) -> None:
        """`ids` gives calls their ids."""
        self.done: list[Item] = []
        self._ids = ids
        self._item: Item | None = None  # the one that is open
        self._kind: object = None  # what the open one is made of
        self._text: list[str] = []

    def feed(self, event: Event) -> Iterator[Item]:
        """Take an event of the model; yield those of the API."""
        if isinstance(event, TextDelta):
            yield from self._open(TextDelta, lambda: text_item("", "in_progress"))
            yield self._delta("response.output_text", event.text) | {"logprobs": []}
        elif isinstance(event, ReasoningDelta):
            yield from self._open(ReasoningDelta, lambda: reasoning_item("", "in_progress"))
            yield self._delta("response.reasoning_text", event.text)
        elif isinstance(event, CallDelta):
            call = self._ids.of(event.index), event.name or "", "", "in_progress"
            yield from self._open(event.index, lambda: call_item(*call))
            if event.arguments:
                yield self._delta("response.function_call_arguments", event.arguments)

    def close(self, status: str = "completed") -> Iterator[Item]:
        """End the open item; yield its last events."""
        item, text = self._item, "".join(self._text)
        if item is None:
            return
        where = self._where()
        if item["type"] == "function_call":
            item["arguments"] = text
            kind = "response.function_call_arguments.done"
            yield {"type": kind, "arguments": text, "name": item["name"]} | where
        else:
            said = item["type"] == "message"
            part = text_part(text) if said else reasoning_part(text)
            item["content"] = [part]
            inside = where | {"content_index": 0}
            name = "output_text" if said else "reasoning_text"
            more: Item = {"logprobs": []} if said else {}
            yield {"type": f"response.{name}.done", "text": text} | inside | more
            yield {"type": "response.content_part.done", "part": part} | inside
        item["status"] = status
        self.done.append(item)
        self._item, self._kind, self._text = None, None, []
        yield {
            "type": "response.output_item.done",
            "output_index": where["output_index"],
            "item": dict(item),
        }

    def _open(self, kind: object, make: Any) -> Iterator[Item]:
        if kind == self._kind:
            return
        yield from self.close()
        self._item, self._kind = make(), kind
        index = len(self.done)
        item = dict(self._item or {})
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        if kind in (TextDelta, ReasoningDelta):
            part = text_part("") if kind is TextDelta else reasoning_part("")
            where = self._where() | {"content_index": 0}
            yield {"type": "response.content_part.added", "part": part} | where

    def _delta(self, kind: str, text: str) -> Item:
        self._text.append(text)
        made = {"type": f"{kind}.delta", "delta": text} | self._where()
        return made if isinstance(self._kind, int) else made | {"content_index": 0}

    def _where(self) -> Item:
        return {"item_id": (self._item or {})["id"], "output_index": len(self.done)}

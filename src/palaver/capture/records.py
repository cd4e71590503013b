"""A stored conversation as a training record.

    {"messages": [{"role", "content", "tool_calls"?, "tool_call_id"?, "name"?, "reasoning"?}]}

The record holds the whole path, also what a compaction hid from the model, because it is what
was said. It is made of whole turns (a user's message and all up to the next), and a turn that
would teach something wrong is left out:

- one whose answer is missing, empty or incomplete (stopped by the user, the limit or an error),
  or that holds a tool call which could not be read or has no result. Trained with an end mark
  behind it, it teaches to stop in the middle. Marked good it stays.
- one marked bad. With `good_only`, every one that is not marked good.

The system message is the one that the newest answer was given under.

A mark on any entry of a turn is the turn's mark; the newest of good and bad counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from palaver.capture.sign import sandwich
from palaver.core.log import Compaction, Row, message_of, turn_starts, visible
from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.sessions.store import Mark

STOPS = {"length": "was cut at the token limit", "cancelled": "was stopped", "error": "was cut off"}


class Policy(Struct, frozen=True):
    """What goes into a record. `signing` is a knowledge base and a kernel, each a text."""

    no_system: bool = False
    good_only: bool = False
    signing: tuple[str, str] | None = None


class Built(Struct, frozen=True):
    """A record as its line of JSON, without the newline, or why there is none.

    `messages` counts those in it. `left_out` counts turns by the reason why they are not in it.
    """

    line: bytes | None
    messages: int
    left_out: dict[str, int]


def build(rows: Sequence[Row], marks: Mapping[int, Sequence[Mark]], policy: Policy) -> Built:
    """Make the record of a path. Fewer than two messages beside the system's make none."""
    shown = visible([row for row in _answered(rows) if not isinstance(row.entry, Compaction)])
    head = shown[:1] if shown and message_of(shown[0]).role == "system" else []
    turns = shown[len(head) :]
    left_out: Counter[str] = Counter()
    kept: list[dict[str, Any]] = []
    starts = turn_starts(turns)
    bounds = sorted({0, *starts, len(turns)})
    for start, end in pairwise(bounds):
        turn = turns[start:end]
        why = _objection(turn, _verdict(turn, marks), policy)
        if why:
            left_out[why] += 1
        else:
            for row in turn:
                kept += _records(message_of(row), policy)
    if len(kept) < 2:
        return Built(None, len(kept), dict(left_out))
    if head and not policy.no_system:
        kept[:0] = _records(message_of(head[0]), policy)
    return Built(msgspec.json.encode({"messages": kept}), len(kept), dict(left_out))


def _answered(rows: Sequence[Row]) -> Sequence[Row]:
    """Cut off what was set after the newest answer: it was not given under that system prompt."""
    end = len(rows)
    while end and not _said_by(rows[end - 1], "assistant"):
        end -= 1
    return [row for at, row in enumerate(rows) if at < end or not _said_by(row, "system")]


def _said_by(row: Row, role: str) -> bool:
    return isinstance(row.entry, Message) and row.entry.role == role


def _verdict(turn: Sequence[Row], marks: Mapping[int, Sequence[Mark]]) -> str:
    rated = [m for row in turn for m in marks.get(row.id, ()) if m.kind != "note"]
    return max(rated, key=lambda mark: mark.at).kind if rated else ""


def _objection(turn: Sequence[Row], verdict: str, policy: Policy) -> str | None:
    """Say why a turn is left out; None if it is not."""
    if verdict == "bad":
        return "is marked bad"
    if policy.good_only and verdict != "good":
        return "is not marked good"
    messages = [message_of(row) for row in turn]
    answers = [message for message in messages if message.role == "assistant"]
    if not answers:
        return "has no answer"
    if verdict == "good":
        return None
    for answer in answers:
        if answer.stop in STOPS:
            return STOPS[answer.stop]
        if any(call.error for call in answer.calls):
            return "has a tool call that can't be read"
    if not (answers[-1].text.strip() or answers[-1].calls):
        return "has an empty answer"
    done = {part.call_id for m in messages for part in m.parts if isinstance(part, ToolResult)}
    if any(call.id not in done for answer in answers for call in answer.calls):
        return "has a tool call without a result"
    return None


def _records(message: Message, policy: Policy) -> list[dict[str, Any]]:
    """Return a message in the record's shape; a message of results is one for each."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "tool":
        return [
            {"role": "tool", "content": part.text, "tool_call_id": part.call_id, "name": part.name}
            for part in results
        ]
    text = message.text
    if message.role == "user" and policy.signing:
        text = sandwich(text, *policy.signing)
    made: dict[str, Any] = {"role": message.role, "content": text}
    if message.calls:
        made["tool_calls"] = [_call(call) for call in message.calls]
    if message.reasoning:
        made["reasoning"] = message.reasoning
    return [made]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}

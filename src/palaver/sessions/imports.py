"""Conversations of files become sessions: all of a file or nothing of it.

Read are our own JSON and JSONL (`export`), an array of {role, content} messages as other
programs keep it (`conversation.json`), and JSONL: a message a line, after a line about the
session or without one, or a {"messages": [...]} record a line, which is a session each.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from palaver.core.errors import UserError
from palaver.core.messages import Message, Part, Reasoning, Role, Stop, Text, ToolCall, ToolResult
from palaver.sessions.drafts import Draft, DraftMark, DraftRow
from palaver.sessions.export import FORMAT_VERSION

T = TypeVar("T")

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def read_file(path: Path) -> list[Draft]:
    """Return the conversations of a file. Raises UserError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", fix="Check the path.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: not UTF-8 text.", fix="Save the file as UTF-8."
        ) from error
    drafts = _read_whole(path, text)
    if drafts is None:
        drafts = _Lines(path).read(text)
    drafts = [draft for draft in drafts if draft.rows]
    if not drafts:
        raise UserError(f"{path} holds no messages.", fix="Give a file with at least one message.")
    return drafts


def _read_whole(path: Path, text: str) -> list[Draft] | None:
    """Read a file that is one JSON value; None if it is a value a line instead."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _begins_with_object(text):
            return None
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(
            f"{path}{line}: not JSON: {error}", fix="Mend the file there, or import another."
        ) from error
    if isinstance(value, list):
        if value and all(isinstance(item, dict) and "messages" in item for item in value):
            return [_record(item, f"{path}, record {i}") for i, item in enumerate(value, 1)]
        return [_conversation(value, str(path))]
    if not isinstance(value, dict):
        raise _wrong(str(path), "a conversation is an array of messages or an object")
    if "palaver_session" in value:
        draft = _meta(value, str(path))
        for i, item in enumerate(_list(value, "rows", str(path)), 1):
            draft.rows.append(_row(item, draft, f"{path}, row {i}"))
        for i, item in enumerate(_list(value, "marks", str(path)), 1):
            draft.marks.append(_mark(item, draft, f"{path}, mark {i}"))
        return [_checked(draft, str(path))]
    return [_record(value, str(path))] if "messages" in value else None


def _begins_with_object(text: str) -> bool:
    first = text.lstrip().split("\n", 1)[0]
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


class _Lines:
    """Reads a JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._drafts: list[Draft] = []
        self._kind: Literal["ours", "messages", "records", ""] = ""
        self._calls: list[str] = []

    def read(self, text: str) -> list[Draft]:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                self._line(line, f"{self._path}, line {number}")
        return [_checked(draft, str(self._path)) for draft in self._drafts]

    def _line(self, line: str, where: str) -> None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{where}: not JSON: {error}",
                fix="Mend the line or delete it (a last line may have been cut off by a crash).",
            ) from error
        if not isinstance(value, dict):
            raise _wrong(where, "each line must be an object")
        if "palaver_session" in value:
            self._begin("ours", where)
            self._drafts.append(_meta(value, where))
        elif self._kind == "ours":
            draft = self._drafts[-1]
            if "mark" in value:
                draft.marks.append(_mark(value["mark"], draft, where))
            else:
                draft.rows.append(_row(value, draft, where))
        elif "messages" in value:
            self._begin("records", where)
            self._drafts.append(_record(value, where))
        elif "role" in value:
            self._begin("messages", where)
            self._message(value, where)
        elif self._drafts:
            raise _wrong(where, "there is neither a role nor messages")
        else:
            self._begin("messages", where)
            self._drafts.append(Draft(title=_text(value, "title"), model=_text(value, "model")))

    def _begin(self, kind: Literal["ours", "messages", "records"], where: str) -> None:
        if self._kind not in ("", kind):
            raise _wrong(where, "messages, records and sessions can't stand in one file")
        self._kind = kind

    def _message(self, value: dict[str, Any], where: str) -> None:
        if not self._drafts:
            self._drafts.append(Draft())
        _add(self._drafts[0], _message(value, where, self._calls))


def _record(value: dict[str, Any], where: str) -> Draft:
    draft = _conversation(_list(value, "messages", where), where)
    draft.title = _text(value, "title")
    draft.model = _text(value, "model")
    return draft


def _conversation(values: list[Any], where: str) -> Draft:
    draft = Draft()
    calls: list[str] = []
    for i, value in enumerate(values, 1):
        _add(draft, _message(value, f"{where}, message {i}", calls))
    return draft


def _add(draft: Draft, message: Message) -> None:
    number = len(draft.rows) + 1
    draft.rows.append(DraftRow(number, number - 1 or None, message))
    draft.tip = number


def _message(value: Any, where: str, calls: list[str]) -> Message:
    """Read a message; `calls` holds the ids of calls that have no result yet."""
    if not isinstance(value, dict):
        raise _wrong(where, "a message must be an object with role and content")
    role = ROLES.get(str(value.get("role")))
    if role is None:
        raise _wrong(where, f"role {value.get('role')!r} is none of {', '.join(ROLES)}")
    text = _content(value.get("content"), where)
    if role == "user" and "content" not in value:
        raise _wrong(where, "a user's message needs a content")
    if role == "tool":
        call_id = _text(value, "tool_call_id") or (calls[0] if calls else "")
        if call_id in calls:
            calls.remove(call_id)
        return Message("tool", (ToolResult(call_id, _text(value, "name") or "", text),))
    parts: list[Part] = []
    reasoning = _text(value, "reasoning") or _text(value, "reasoning_content")
    if reasoning:
        parts.append(Reasoning(reasoning))
    if text:
        parts.append(Text(text))
    if role != "assistant":
        return Message(role, tuple(parts) or (Text(""),))
    for i, item in enumerate(_list(value, "tool_calls", where), 1):
        call = _call(item, f"{where}, tool call {i}", calls)
        calls.append(call.id)
        parts.append(call)
    stop: Stop = "end"
    return Message(role, tuple(parts) or (Text(""),), stop)


def _content(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("text"), str) for item in value
    ):
        return "".join(item["text"] for item in value)
    raise _wrong(where, "content must be text (images and other parts can't be imported)")


def _call(value: Any, where: str, calls: list[str]) -> ToolCall:
    inner = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise _wrong(where, "a tool call needs a function with a name and arguments")
    arguments = inner.get("arguments", {})
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    number = len(calls) + 1
    while f"call-{number}" in calls:
        number += 1
    return ToolCall(_text(value, "id") or f"call-{number}", inner["name"], arguments)


def _meta(value: dict[str, Any], where: str) -> Draft:
    if value["palaver_session"] != FORMAT_VERSION:
        raise UserError(
            f"{where}: an export of version {value['palaver_session']!r}; "
            f"this program reads version {FORMAT_VERSION}.",
            fix="Update palaver.",
        )
    known = {name: value.get(name) for name in ("title", "cwd", "model", "created", "tip")}
    return _convert(known, Draft, where)


def _row(value: Any, draft: Draft, where: str) -> DraftRow:
    row = _convert(value, DraftRow, where)
    if draft.rows and row.id <= draft.rows[-1].id:
        raise _wrong(where, f"row {row.id} is out of order")
    return row


def _mark(value: Any, draft: Draft, where: str) -> DraftMark:
    mark = _convert(value, DraftMark, where)
    if mark.kind not in ("good", "bad", "note"):
        raise _wrong(where, f"a mark {mark.kind!r} is none of good, bad, note")
    return mark


def _checked(draft: Draft, where: str) -> Draft:
    """Return the draft if everything that it names is in it. Raises UserError."""
    seen: set[int | None] = {None}
    for row in draft.rows:
        if row.parent not in seen:
            raise _wrong(where, f"row {row.id} stands below row {row.parent}, which is not there")
        if row.generation and not all(0 <= i < 1 << 32 for i in row.generation.added):
            raise _wrong(where, f"row {row.id} has a token id out of range")
        seen.add(row.id)
    for number in (draft.tip, *(mark.row for mark in draft.marks)):
        if number not in seen:
            raise _wrong(where, f"row {number} is named and is not there")
    times = [("the session", draft.created)]
    times += [(f"row {row.id}", row.at) for row in draft.rows]
    times += [(f"a mark of row {mark.row}", mark.at) for mark in draft.marks]
    for what, at in times:
        if at is not None and not math.isfinite(at):
            raise _wrong(where, f"the time of {what} is no number")
    return draft


def _convert(value: Any, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _wrong(where, str(error)) from error


def _list(value: dict[str, Any], key: str, where: str) -> list[Any]:
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _wrong(where, f"{key} must be an array")
    return found


def _text(value: dict[str, Any], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None


def _wrong(where: str, what: str) -> UserError:
    return UserError(f"{where}: {what}.", fix="Mend the file there; nothing was imported.")

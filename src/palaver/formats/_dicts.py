"""Messages and tools as the dictionaries that chat templates read.

Every text that a user, a tool, a file or a model wrote goes through `change`, which marks it
or leaves it alone; roles and the words of JSON Schema don't.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.core.tool import ToolSpec
from palaver.formats._capabilities import Capabilities

Change = Callable[[str], str]
WriteCalls = Callable[[Sequence[ToolCall], Change], str]

_HOW_TO_CALL = """# Tools

You may call one or more functions to help with the question.

The functions are described within <tools></tools> tags:
<tools>
{tools}
</tools>

For each call, write a JSON object with the function's name and arguments within \
<tool_call></tool_call> tags:
<tool_call>
{{"name": <function-name>, "arguments": <arguments-object>}}
</tool_call>"""


def tool_dict(tool: ToolSpec, change: Change) -> dict[str, Any]:
    """Return a tool in OpenAI's shape."""
    return {
        "type": "function",
        "function": {
            "name": change(tool.name),
            "description": change(tool.description),
            "parameters": change_all(tool.parameters, change),
        },
    }


def change_all(value: Any, change: Change) -> Any:
    """Change all texts of a JSON value, keys among them."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(k): change_all(v, change) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [change_all(v, change) for v in value]
    return value


def message_dicts(
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    can: Capabilities,
    change: Change,
    write: WriteCalls | None = None,
) -> list[dict[str, Any]]:
    """Return the conversation as a template that can do `can` takes it.

    `write` writes calls as text where the template can't; without it Hermes' way is taken.
    """
    out: list[dict[str, Any]] = []
    for message in messages:
        out.extend(_one(message, can, change, write or _calls_text))
    if tools and not can.tools:
        _fold_tools(out, tools, change)
    if not can.system:
        _fold_system(out)
    if not can.results:
        out = _merge_results(out)
    if can.calls and can.results and not can.parallel:
        out = _one_call_each(out)
    return out


def _one(
    message: Message, can: Capabilities, change: Change, write: WriteCalls
) -> Iterable[dict[str, Any]]:
    if message.role == "tool":
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield _result(part, can, change)
        return
    entry: dict[str, Any] = {"role": message.role, "content": change(message.text)}
    if message.role == "assistant":
        if message.reasoning:
            entry["reasoning_content"] = change(message.reasoning)
        if message.calls and can.calls:
            if entry["content"] and can.text_before and not can.text_beside:
                yield entry
                entry = {"role": "assistant", "content": ""}
            entry["tool_calls"] = [_call(call, can, change) for call in message.calls]
            if can.content_none:
                entry["content"] = entry["content"] or None
        elif message.calls:
            calls = write(message.calls, change)
            entry["content"] = "\n".join(filter(None, [entry["content"], calls]))
    yield entry


def _call(call: ToolCall, can: Capabilities, change: Change) -> dict[str, Any]:
    arguments: Any = change(call.arguments)
    if not can.arguments_text:
        value = json_object(call.arguments)
        # A broken call stays in the conversation: its text under one key is what it can be shown as
        arguments = change_all({"arguments": call.arguments} if value is None else value, change)
    function = {"name": change(call.name), "arguments": arguments}
    return {"type": "function", "id": _id(call.id, can, change), "function": function}


def _result(part: ToolResult, can: Capabilities, change: Change) -> dict[str, Any]:
    if not can.results:
        text = f"<tool_response>\n{change(part.text)}\n</tool_response>"
        return {"role": "user", "content": text, "folded": True}
    return {
        "role": "tool",
        "name": change(part.name),
        "tool_call_id": _id(part.call_id, can, change),
        "content": change(part.text),
    }


def _id(call_id: str, can: Capabilities, change: Change) -> str:
    if can.ids:
        return change(call_id)
    if re.fullmatch("[a-zA-Z0-9]{9}", call_id):
        return call_id
    return hashlib.blake2b(call_id.encode()).hexdigest()[:9]


def json_object(arguments: str) -> dict[str, Any] | None:
    """Return a call's arguments as a value, None where they are broken."""
    try:
        value = json.loads(arguments, strict=False) if arguments else {}
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def call_text(call: ToolCall, change: Change) -> str:
    """Write a call as an object of JSON."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{{"name": {change(name)}, "arguments": {change(call.arguments or "{}")}}}'


def _calls_text(calls: Sequence[ToolCall], change: Change) -> str:
    return "\n".join(f"<tool_call>\n{call_text(c, change)}\n</tool_call>" for c in calls)


def _fold_tools(out: list[dict[str, Any]], tools: Sequence[ToolSpec], change: Change) -> None:
    """Describe the tools in the system message, for a template that knows none."""
    lines = (json.dumps(tool_dict(t, change), ensure_ascii=False) for t in tools)
    text = _HOW_TO_CALL.format(tools="\n".join(lines))
    if out and out[0]["role"] == "system":
        out[0] = {**out[0], "content": f"{out[0]['content']}\n\n{text}"}
    else:
        out.insert(0, {"role": "system", "content": text})


def _fold_system(out: list[dict[str, Any]]) -> None:
    """Write system messages into the user's message that follows."""
    texts: list[str] = []
    kept: list[dict[str, Any]] = []
    for entry in out:
        if entry["role"] == "system":
            texts.append(entry["content"])
        elif texts and entry["role"] == "user":
            kept.append({**entry, "content": "\n\n".join([*texts, entry["content"]])})
            texts = []
        else:
            kept.append(entry)
    if texts:
        kept.append({"role": "user", "content": "\n\n".join(texts)})
    out[:] = kept


def _merge_results(out: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join results that follow one another into one user's message."""
    merged: list[dict[str, Any]] = []
    for entry in out:
        if entry.pop("folded", False):
            if merged and merged[-1].get("results"):
                merged[-1]["content"] += "\n" + entry["content"]
                continue
            entry["results"] = True
        merged.append(entry)
    return [{k: v for k, v in entry.items() if k != "results"} for entry in merged]


def _one_call_each(out: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write an answer with several calls as several, each with its result behind it."""
    split: list[dict[str, Any]] = []
    at = 0
    while at < len(out):
        entry = out[at]
        at += 1
        if len(entry.get("tool_calls", ())) < 2:
            split.append(entry)
            continue
        behind = at
        while behind < len(out) and out[behind]["role"] == "tool":
            behind += 1
        results, at = out[at:behind], behind
        for number, call in enumerate(entry["tool_calls"]):
            first = {} if number else {k: v for k, v in entry.items() if k != "tool_calls"}
            split.append(
                {
                    "role": "assistant",
                    "content": entry["content"] and "",
                    **first,
                    "tool_calls": [call],
                }
            )
            mine = next((r for r in results if r["tool_call_id"] == call["id"]), None)
            if mine is not None:
                results.remove(mine)
                split.append(mine)
        split += results
    return split

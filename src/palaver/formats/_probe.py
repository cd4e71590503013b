"""Finding what a template can do, by trying it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from palaver.core.errors import UserError
from palaver.core.tool import ToolSpec
from palaver.formats._capabilities import Capabilities
from palaver.formats._dicts import tool_dict
from palaver.formats._program import BadTemplateError

Tools = list[dict[str, Any]] | None
# What is looked for are the digits, which upper-casing and the like leave alone
Try = Callable[[list[dict[str, Any]], Tools], str]

_TOOL = tool_dict(
    ToolSpec(
        "tool_70211",
        "description_70212",
        {
            "type": "object",
            "properties": {"key_70213": {"type": "string", "description": "text_70214"}},
            "required": ["key_70213"],
        },
    ),
    str,
)
_USER = {"role": "user", "content": "question 70215"}


def find(attempt: Try) -> Capabilities:
    """Find them by rendering small conversations; `attempt` raises UserError where refused."""
    no_tools = _shows(_try(attempt, [_USER], None), "question 70215")
    nothing: Tools = None if no_tools else []
    asked = [{"role": "system", "content": "system 70216"}, _USER]
    system = _shows(_try(attempt, asked, nothing), "system 70216")
    tools = _shows(_try(attempt, [_USER], [_TOOL]), "tool_70211")
    calls = parallel = results = as_text = short = none = beside = before = False
    for short, none, as_text in itertools.product((False, True), repeat=3):
        got = _try(attempt, _turn(1, as_text, short, none), [_TOOL])
        results = results or _shows(got, "result 70218")
        calls = _shows(got, "tool_70211", "value 70217") and "{'key_70213': 'v" not in got
        if calls:  # not as Python writes an object, which no model was taught
            many = _try(attempt, _turn(2, as_text, short, none), [_TOOL])
            parallel = _shows(many, "value 70217", "value 70219")
            user, answer, *rest = _turn(1, as_text, short, none)
            said = {"role": "assistant", "content": "text 70220"}
            got = _try(attempt, [user, {**answer, **said}, *rest], [_TOOL])
            beside = _shows(got, "text 70220", "value 70217")
            got = _try(attempt, [user, said, answer, *rest], [_TOOL])
            before = _shows(got, "text 70220", "value 70217")
            break
    if calls and not tools:  # the tools are described with another way to call than its own
        calls = parallel = results = False
    return Capabilities(
        system=system,
        tools=tools,
        calls=calls,
        parallel=parallel,
        results=results,
        ids=not (calls and short),
        arguments_text=calls and as_text,
        content_none=calls and none,
        text_beside=beside,
        text_before=before,
        no_tools=no_tools,
    )


def _try(attempt: Try, messages: list[dict[str, Any]], tools: Tools) -> str:
    """Return what is rendered; nothing where the template refuses."""
    try:
        return attempt(messages, tools)
    except BadTemplateError:
        raise
    except UserError:
        return ""


def _shows(text: str, *words: str) -> bool:
    return all(word[-5:] in text for word in words)


def _turn(calls: int, as_text: bool, short: bool, none: bool) -> list[dict[str, Any]]:
    """Make a question, an answer with calls, their results."""
    words = ["value 70217", "value 70219"][:calls]
    ids = [f"callno70{i}" if short else f"call_{i}" for i in range(calls)]
    made = [
        {
            "type": "function",
            "id": call_id,
            "function": {
                "name": "tool_70211",
                "arguments": f'{{"key_70213": "{word}"}}' if as_text else {"key_70213": word},
            },
        }
        for call_id, word in zip(ids, words, strict=True)
    ]
    results = [
        {"role": "tool", "name": "tool_70211", "tool_call_id": i, "content": "result 70218"}
        for i in ids
    ]
    answer = {"role": "assistant", "content": None if none else "", "tool_calls": made}
    return [_USER, answer, *results]

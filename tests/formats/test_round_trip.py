"""A call that a real template writes is read back by the dialect that the template gets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.formats.talks import SHARED
from tests.formats.test_dialects import value

from palaver.core.events import CallParsed
from palaver.core.messages import Message, ToolCall, assistant, user
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import whole
from palaver.formats.template import TemplateFormat

TOOLS = [
    ToolSpec(
        name,
        "A tool",
        {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "A text"},
                "n": {"type": "integer", "description": "A number"},
            },
            "required": ["text"],
        },
    )
    for name in ("write_file", "look-up")
]
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"text": "Paris", "n": -3},
    {"text": ""},
    {"text": "5"},
    {"text": "null"},
    {"text": "  a\n\tb  "},
    {"text": "日本 🙂 é"},
    {"text": 'if a < b && c:\n    print("<b>[{x}]</b>")'},
    {"text": '{"a": [1, "}"]}'},
    {"text": "it's, as said: f(x)"},
]
TEMPLATES = sorted(SHARED.glob("*.jinja")) if SHARED.is_dir() else []


def written(fmt: TemplateFormat, answer: Message) -> tuple[str, str]:
    """Return what stands before an answer, and the answer as the template writes it."""
    text = fmt.render([user("hi"), answer], TOOLS, reply=False).text
    prompt = fmt.render([user("hi")], TOOLS, reply=True).text
    same = next(
        (i for i, pair in enumerate(zip(text, prompt, strict=False)) if len(set(pair)) > 1),
        min(len(text), len(prompt)),
    )
    tag = text.rfind("<", 0, same)
    if same < len(prompt) and ">" not in text[tag:same]:
        same = tag  # the prompt's end begins another tag
    return text[:same], text[same:]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_calls_are_read_back(file: Any) -> None:
    fmt = TemplateFormat(file.read_text("utf-8"), "<s>", "</s>")
    if not fmt.capabilities.tools:
        assert fmt.dialect == "plain"
        return
    end = written(fmt, assistant("Just text."))[1].partition("Just text.")[2]
    for arguments in ARGUMENTS:
        for tool in TOOLS:
            call = ToolCall("call00001", tool.name, json.dumps(arguments, ensure_ascii=False))
            before, reply = written(fmt, Message("assistant", (call,), "end"))
            events = whole(fmt.parser(before, TOOLS), list(reply.removesuffix(end)))
            read = [event.call for event in events if isinstance(event, CallParsed)]
            got = [(one.name, value(one.arguments), one.error) for one in read]
            assert got == [(tool.name, arguments, None)], reply

"""Calls whose one argument was written bare, as they come out of a parser."""

from __future__ import annotations

import json

import pytest

from palaver.chat.calls import open_calls
from palaver.core.log import Row
from palaver.core.messages import Message, ToolCall
from palaver.formats.parsers.hermes import HermesParser
from palaver.models.reply import ReplyParts
from palaver.tools.toolbox import Box, load

PATCH = "*** Begin Patch\n*** Delete File: a\n*** End Patch"
BOX = Box(load(["python", "apply_patch", "shell"]))


def call_in(reply: str) -> ToolCall:
    """Return the call of a reply as the loop sees it."""
    parser, parts = HermesParser(), ReplyParts()
    parts.add(parser.feed(reply))
    parts.add(parser.finish())
    (call,) = open_calls([Row(1, 1, None, 0.0, Message("assistant", parts.message("end").calls))])
    return call.call


def written(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("apply_patch", PATCH, "patch"),
        ("python", "print(1)\nprint(2)", "code"),
        ("python", "12", "code"),
    ],
)
def test_bare_text_is_the_one_argument(name, text, key):
    call = call_in(written(name, json.dumps(text)))
    assert (call.error, json.loads(call.arguments)) == (None, {key: text})
    assert BOX.unfit(call) is None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("python", '"{\\"code\\": \\"print(1)"'),  # JSON that lost its end, wrapped once more
        ("python", "[1, 2]"),
        ("shell", '"rm -r x"'),
        ("other", '"print(1)"'),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(name, arguments):
    assert call_in(written(name, arguments)).error


def test_what_was_cut_off_is_refused():
    call = call_in(written("python", '"print(1)\\nprint(2)"')[:-40])
    assert call.error == "the call was cut off"

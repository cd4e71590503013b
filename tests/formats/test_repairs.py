"""What models write that is not quite their dialect, and is still a call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.formats.dialects import TOOLS

from palaver.core import scan
from palaver.core.events import CallDelta, CallParsed
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolSpec
from palaver.formats.dialects import PARSERS
from palaver.formats.parsers._base import whole

CITY = ToolSpec(
    "weather",
    "",
    {"properties": {"city": {"type": "string"}, "unit": {}}, "required": ["city"]},
)


def read(name: str, reply: str, tools: list[ToolSpec] = TOOLS) -> list[ToolCall]:
    """Return the calls of a reply that comes whole, and character by character."""
    made = scan.load(PARSERS, name, "PARSER")
    found = [
        [event.call for event in whole(made(tools=tools), chunks) if isinstance(event, CallParsed)]
        for chunks in ([reply], list(reply))
    ]
    assert found[0] == found[1]
    return found[0]


def kimi(call_id: str, arguments: str) -> str:
    """Write a call as Kimi does."""
    begin = f"<|tool_call_begin|>{call_id}<|tool_call_argument_begin|>"
    return f"<|tool_calls_section_begin|>{begin}{arguments}<|tool_call_end|>"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ('{"city": "Oslo"}', "weather"),
        ('{"city": "Oslo", "unit": "c"}', "weather"),
        ('{"b": 1}', "f"),
        ('{"unit": "c"}', ""),  # the city is required
        ('{"a": "b", "city": "Oslo"}', ""),
        ("{}", ""),
        ('{"city": ', ""),
    ],
)
def test_a_bare_number_means_the_only_tool_that_takes_the_arguments(
    arguments: str, name: str
) -> None:
    (call,) = read("kimi_k2", kimi("3", arguments), [*TOOLS, CITY])
    assert (call.name, call.id) == (name, "3" if name else "call_1")
    assert (call.error is None) == bool(name)
    assert name or call.arguments.endswith(arguments)  # nothing is lost
    (call,) = read("kimi_k2", kimi("3", "{}"), [CITY])
    assert (call.name, call.error) == ("weather", None)


def test_a_guessed_name_comes_with_all_its_arguments() -> None:
    events = whole(
        scan.load(PARSERS, "kimi_k2", "PARSER")(tools=[*TOOLS, CITY]),
        list(kimi("0", '{"city": "Oslo"}')),
    )
    assert events[0] == CallDelta(0, "weather", '{"city": "Oslo"}')


@pytest.mark.parametrize("call_id", ["weird@id", "a b", ""])
def test_an_id_without_a_name_is_a_call_without_one(call_id: str) -> None:
    (call,) = read("kimi_k2", kimi(call_id, '{"b": 1}'), [*TOOLS, CITY])
    assert (call.name, call.error) == ("", "the call has no name")
    assert call.arguments.startswith(call_id)
    assert call.arguments.endswith('{"b": 1}')


@pytest.mark.parametrize("call_id", ["functions.f:0", "f:12", "f", "functions.f", " f:0 "])
def test_ids_with_a_name(call_id: str) -> None:
    (call,) = read("kimi_k2", kimi(call_id, '{"b": 1}'))
    assert (call.name, call.id, call.error) == ("f", call_id.strip(), None)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("deepseek_v31", '<｜tool▁call▁begin｜>f{"b": 1}<｜tool▁call▁end｜>'),
        ("kimi_k2", '<|tool_call_begin|>f:0{"b": 1}<|tool_call_end|>'),
        ("glm", r"<tool_call>f\n<arg_key>b</arg_key>\n<arg_value>1</arg_value>\n</tool_call>"),
        ("glm", "<tool_call>f<arg_key>b</arg_key>\n1</arg_value></tool_call>"),
        ("glm", "<tool_call>f<arg_key>b</arg_key><arg_value>1</tool_call>"),
        ("deepseek_v31", '<｜tool▁call▁begin｜>f<｜tool▁sep｜>```json\n{"b": 1}\n```'),
        ("deepseek_v3", '<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"b": 1}<｜tool▁call▁end｜>'),
        ("deepseek_v3", '<｜tool▁calls｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n{"b": 1}'),
        ("functionary_v32", 'f\n{"b": 1}'),
        ("functionary_v32", 'all\nHi.>>>f\n{"b": 1}'),
        ("lfm2", "<|tool_call_start|>[f(b=0x1)]<|tool_call_end|>"),
        ("lfm2", "<|tool_call_start|>f(b=+1)<|tool_call_end|>"),
    ],
)
def test_what_is_missing_between_parts(name: str, reply: str) -> None:
    (call,) = read(name, reply)
    value: Any = json.loads(call.arguments)
    assert (call.name, value, call.error) == ("f", {"b": 1}, None)


@pytest.mark.parametrize(
    ("name", "reply", "want"),
    [
        ("gemma4", "<|tool_call>call:f<tool_call|>", "{}"),
        ("functiongemma", "<start_function_call>call:f<end_function_call>", "{}"),
        ("pythonic", r"[f(a=r'C:\new\x')]", r'{"a": "C:\\new\\x"}'),
        ("olmo3", "<function_calls>f(b=1_000)</function_calls>", '{"b": 1000}'),
    ],
)
def test_what_is_written_otherwise(name: str, reply: str, want: str) -> None:
    assert read(name, reply) == [ToolCall("call_1", "f", want)]

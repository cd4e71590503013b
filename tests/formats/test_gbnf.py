"""The grammar that calls are held to: which texts it lets through."""

from __future__ import annotations

import json

import pytest
from tests.support.gbnf import Grammar

from palaver.core.tool import ToolSpec
from palaver.formats import gbnf

WORD = {"type": "string"}
READ = {
    "type": "object",
    "properties": {"path": WORD, "start": {"type": "integer", "minimum": 1}, "end": {"enum": [7]}},
    "required": ["path"],
}
GRAMMAR = Grammar(
    gbnf.calls(
        [
            ToolSpec("read_file", "", READ),
            ToolSpec("look", "", {"type": "object", "properties": {"at": WORD, "by": WORD}}),
        ],
        "<tool_call>",
        "</tool_call>",
    )
)


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


GOOD = call("read_file", '{"path": "a \\" b\\n\\u00e9é", "start": 12}')
BAD = call("read_fil", '{"path": "a"}')


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        call("read_file", '{"path": "", "end": 7}'),
        call("look", "{}"),
        call("look", '{"by": "x"}'),
        '<tool_call>{"arguments": {"at": "x"}, "name": "look"}</tool_call>',
        GOOD + "\n" + GOOD,
        GOOD + " That reads it <b>all</b>, <too! <t<tool",
        "<tool_call> is a tag, and <tool_call>, too: " + GOOD,
    ],
)
def test_calls_that_fit_and_text_around_them(text):
    assert GRAMMAR.makes(text)


@pytest.mark.parametrize(
    "text",
    [
        BAD,
        call("read_file", "{}"),
        call("read_file", '{"path": 1}'),
        call("read_file", '{"path": "a", "start": 0}'),
        call("read_file", '{"path": "a", "end": 8}'),
        call("read_file", '{"path": "a", "more": 1}'),
        call("read_file", '{"path": "a\nb"}'),
        call("look", '{"by": "x", "at": "y"}'),
        '<tool_call>{"name": "look"}</tool_call>',
        GOOD + "\n" + BAD,
        GOOD + " and <t<tool_call>" + BAD.removeprefix("<tool_call>"),
        "<tool_call> is a tag. " + BAD,
        BAD.replace("\n{", "\t{"),
        BAD.replace("\n{", "   {"),
        BAD.replace("\n{", "[{"),
        GOOD[:-1],
    ],
)
def test_calls_that_do_not_fit_wherever_they_stand(text):
    assert not GRAMMAR.makes(text)


def test_names_are_taken_as_they_are():
    odd = 'a "b"\\\n]é'
    schema = {"type": "object", "properties": {odd: {"enum": [odd, 1]}}, "required": [odd]}
    grammar = Grammar(gbnf.calls([ToolSpec("t", "", schema)], "<c>", "</c>"))
    value = json.dumps({odd: odd}, ensure_ascii=False)
    assert grammar.makes(f'<c>{{"name": "t", "arguments": {value}}}</c>')
    assert not grammar.makes('<c>{"name": "t", "arguments": {"a": 1}}</c>')


def test_no_blank_before_a_call_hides_it():
    for blank in filter(str.isspace, map(chr, range(0x110000))):
        assert not GRAMMAR.makes(BAD.replace("\n{", blank + "{")), hex(ord(blank))

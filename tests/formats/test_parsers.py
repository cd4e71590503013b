"""Parsers: the same events however a reply is cut, nothing lost, nothing raised."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.core import scan
from palaver.core.events import CallDelta, CallParsed, ParserEvent, ReasoningDelta, TextDelta
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import whole
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.parsers.plain import PlainParser
from palaver.formats.parsers.think import ThinkParser

FULL = bool(os.environ.get("PALAVER_FULL"))
MANY = 2_000 if FULL else 200

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
F_A1 = ToolCall("call_1", "f", '{"a": 1}')


def joined(events: Sequence[ParserEvent]) -> list[object]:
    """Join neighbouring deltas of one kind; check a call's deltas against the call."""
    out: list[object] = []
    args: dict[int, list[str]] = {}
    names: dict[int, str | None] = {}
    for event in events:
        if isinstance(event, CallDelta):
            args.setdefault(event.index, []).append(event.arguments)
            if event.name is not None:
                assert names.get(event.index) is None, "a name comes once"
                names[event.index] = event.name
            else:
                assert event.index in names, "the name comes first"
        elif isinstance(event, CallParsed):
            assert "".join(args[event.index]) == event.call.arguments
            assert names[event.index] == event.call.name
            out.append(event.call)
        elif out and isinstance(out[-1], tuple) and out[-1][0] is type(event):
            out[-1] = (type(event), out[-1][1] + event.text)
        else:
            assert event.text, "no empty delta"
            out.append((type(event), event.text))
    return out


def hermes(text: str, *, opened: bool = False) -> list[object]:
    return joined(whole(HermesParser(opened=opened), [text]))


def text(words: str) -> tuple[type, str]:
    return TextDelta, words


def thought(words: str) -> tuple[type, str]:
    return ReasoningDelta, words


@pytest.mark.parametrize(
    ("reply", "want"),
    [
        ("", []),
        ("Hello.", [text("Hello.")]),
        ("  Hello\n", [text("  Hello\n")]),
        (CALL, [F_A1]),
        (f"One moment.\n{CALL}", [text("One moment."), F_A1]),
        (f"a\n\n{CALL}\n\nb", [text("a"), F_A1, text("b")]),
        (
            f"{CALL}\n{CALL}between{CALL}",
            [
                F_A1,
                ToolCall("call_2", "f", '{"a": 1}'),
                text("between"),
                ToolCall("call_3", "f", '{"a": 1}'),
            ],
        ),
        ("a < b <tool> <tool_calls>", [text("a < b <tool> <tool_calls>")]),
        ("I use <tool_call> tags.", [text("I use <tool_call> tags.")]),
        ("<tool_call>\n ", []),
        ("Hi. <tool_call>", [text("Hi.")]),
        (f"<tool_call>{CALL}", [F_A1]),
        (f"<tool_call>\n{CALL}", [F_A1]),
        ("<tool_call> <tool_call> tags", [text("<tool_call> <tool_call> tags")]),
        (f"{CALL[:-13]}\n{CALL[12:]}", [F_A1, ToolCall("call_2", "f", '{"a": 1}')]),
        (f"I use <tool_call> tags.\n{CALL}", [text("I use <tool_call> tags."), F_A1]),
        (f"<tool_call>{'x' * 300}</tool_call>", [text(f"<tool_call>{'x' * 300}</tool_call>")]),
        (f"a \n\t {CALL} \n b", [text("a"), F_A1, text("b")]),
        ("a \n", [text("a \n")]),
        ("</tool_call>", [text("</tool_call>")]),
    ],
)
def test_text_and_calls(reply: str, want: list[object]) -> None:
    assert hermes(reply) == want


@pytest.mark.parametrize(
    ("body", "name", "arguments", "error"),
    [
        ('{"name": "f", "arguments": {"a": "}</tool_call>{"}}', "f", '{"a": "}</tool_call>{"}', ""),
        ('{"name": "f", "arguments": {"a": "\\"}\\\\"}}', "f", '{"a": "\\"}\\\\"}', ""),
        ('{"arguments": {"a": 1}, "name": "f"}', "f", '{"a": 1}', ""),
        ('{"name": "f", "parameters": {"a": 1}}', "f", '{"a": 1}', ""),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', "f", '{"a": 1}', ""),
        ('{"name": "f"}', "f", "{}", ""),
        ('{"name": "f", "arguments": null}', "f", "{}", ""),
        ('{"name": "f", "arguments": {"a": 1}}}', "f", '{"a": 1}', ""),
        ('{"name": "f", "arguments": {"a": 1}', "f", '{"a": 1}', ""),
        ('{"name": "f", "arguments": {"a": [1, {"b": 2}]}}', "f", '{"a": [1, {"b": 2}]}', ""),
        ('{"function": {"name": "f", "arguments": {"a":1}}}', "f", '{"a": 1}', ""),
        ('{"id": "x", "type": "function", "name": "f", "arguments": {}}', "f", "{}", ""),
        ('{"type": "function", "function": {"name": "f", "parameters": {}}}', "f", "{}", ""),
        ('{"name": "\\u00e9\\n", "arguments": {}}', "é\n", "{}", ""),
        ('{"name": "f", "arguments": {"a": 1,}}', "f", '{"a": 1,}', "not JSON"),
        ('{"name": "f", "arguments": [1]}', "f", "[1]", "no JSON object"),
        ('{"name": "f", "arguments": 5}', "f", "5", "no JSON object"),
        ('{"name": "f", "arguments": {"a": 1', "f", '{"a": 1', "not JSON"),
        ('{"name": "f", "arguments": {"a": 1} oops}', "f", '{"a": 1}oops}', "not JSON"),
        ('{"name": 3, "arguments": {}}', "", '{"name": 3, "arguments": {}}', "no name"),
        ("{'name': 'f'}", "", "{'name': 'f'}", "no name"),
        ("{name: f}", "", "{name: f}", "no name"),
        ("{}", "", "{}", "no name"),
        ("f(1)", "", "f(1)", "no name"),
        ("<function=f>", "", "<function=f>", "no name"),
        ('[{"name": "f"}]', "f", "{}", ""),
        ('["f"]', "", '["f"]', "no name"),
    ],
)
def test_bodies(body: str, name: str, arguments: str, error: str) -> None:
    before, call, after = hermes(f"a<tool_call>{body}</tool_call>b")
    assert before == text("a")
    assert after == text("b")
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == (name, arguments)
    assert (error in call.error) if error and call.error else not error and not call.error


@pytest.mark.parametrize(
    ("body", "extra"),
    [
        (
            '{"thought": "hm", "name": "f", "arguments": {"a": 1}, "n": 1.5}',
            'thought: "hm"\nn: 1.5',
        ),
        ('{"name": "f", "name": "g", "arguments": {"a": 1}}', 'name: "g"'),
    ],
)
def test_keys_that_no_call_has_are_reasoning(body: str, extra: str) -> None:
    assert hermes(f"<tool_call>{body}</tool_call>") == [F_A1, thought(extra)]


@pytest.mark.parametrize("end", range(13, len(CALL)))
def test_a_call_cut_off_is_kept(end: int) -> None:
    (call,) = hermes(CALL[:end])
    assert isinstance(call, ToolCall)
    if "arguments" not in CALL[:end] or not call.arguments.endswith("}"):
        assert call.error == "the call was cut off"
    else:
        assert (call.name, call.arguments, call.error) == ("f", '{"a": 1}', None)
    kept = call.name + call.arguments
    assert kept.strip() in CALL.replace('", "arguments": ', "")


def test_deep_arguments_are_data() -> None:
    deep = '{"a":' * 20_000
    (call,) = hermes(f'<tool_call>{{"name": "f", "arguments": {deep}')
    assert isinstance(call, ToolCall)
    assert call.arguments == deep
    (call,) = hermes(f'<tool_call>{{"name": "f", "arguments": {deep}1{"}" * 20_000}}}</tool_call>')
    assert isinstance(call, ToolCall)
    assert call.error == "the arguments are nested too deeply"


@pytest.mark.parametrize(
    ("reply", "opened", "want"),
    [
        ("<think>\nhm\n</think>\n\nYes.", False, [thought("hm"), text("Yes.")]),
        (" \n<think>hm</think>Yes.", False, [thought("hm"), text("Yes.")]),
        ("hm\n</think>\n\nYes.", True, [thought("hm"), text("Yes.")]),
        ("<think>\nhm</think>Yes.", True, [thought("hm"), text("Yes.")]),
        ("<think>\n\n</think>\n\nYes.", False, [text("Yes.")]),
        ("<think>hm", False, [thought("hm")]),
        ("hm\n", True, [thought("hm\n")]),
        ("Yes. <think>no</think>", False, [text("Yes. <think>no</think>")]),
        ("Yes.</think>", False, [text("Yes.</think>")]),
        (f"<think>{CALL}</think>Yes.", False, [thought(CALL), text("Yes.")]),
        (f"<think>hm</think>\n{CALL}", False, [thought("hm"), F_A1]),
        ("<thin", False, [text("<thin")]),
        ("a</think", True, [thought("a</think")]),
    ],
)
def test_thinking(reply: str, opened: bool, want: list[object]) -> None:
    assert hermes(reply, opened=opened) == want
    if CALL not in reply.replace(f"<think>{CALL}", ""):
        assert joined(whole(ThinkParser(opened=opened), [reply])) == want


@pytest.mark.parametrize(
    ("reply", "opened", "want"),
    [
        (f"hm\n{CALL}", True, [thought(f"hm\n{CALL}"), F_A1]),
        (f"<think>hm{CALL}\n", False, [thought(f"hm{CALL}\n"), F_A1]),
        (f"hm{CALL}</think>", True, [thought(f"hm{CALL}")]),  # closed: only thought of
        (f"hm{CALL}or not", True, [thought(f"hm{CALL}or not")]),
        (f"hm{CALL[:-20]}", True, [thought(f"hm{CALL[:-20]}")]),
    ],
)
def test_calls_in_reasoning(reply: str, opened: bool, want: list[object]) -> None:
    for chunks in ([reply], list(reply)):
        assert joined(whole(HermesParser(opened=opened), chunks)) == want
    other = HermesParser(opened=True, tools=[ToolSpec("g", "", {})])
    assert joined(whole(other, [f"hm{CALL}"])) == [thought(f"hm{CALL}")]


def test_what_is_certain_comes_at_once() -> None:
    parser = HermesParser()
    assert parser.feed("Hello <") == [TextDelta("Hello")]
    assert parser.feed("b>") == [TextDelta(" <b>")]
    assert parser.feed('<tool_call>{"name": "f", "arg') == [CallDelta(0, "f", "")]
    assert parser.feed('uments": {"a": "b') == [CallDelta(0, None, '{"a": "b')]
    assert parser.feed('c"') == [CallDelta(0, None, 'c"')]
    done = parser.feed("}")
    assert done == [CallDelta(0, None, "}")]
    assert parser.feed("}") == [CallParsed(0, ToolCall("call_1", "f", '{"a": "bc"}'))]
    assert parser.finish() == []


def test_plain_is_all_text_without_tools() -> None:
    reply = f"<think>a</think>{CALL}"
    assert joined(whole(PlainParser(), list(reply))) == [text(reply)]
    reply = f"a</think>{CALL}"
    assert joined(whole(PlainParser(opened=True), list(reply))) == [thought("a"), text(CALL)]


OBJECT = '{"name": "f", "arguments": {"a": 1}}'


@pytest.mark.parametrize(
    ("reply", "want"),
    [
        (CALL, [F_A1]),
        (f"Now.\n```json\n{OBJECT}\n```\nDone.", [text("Now."), F_A1, text("Done.")]),
        (f"```\n[{OBJECT}]\n```", [F_A1]),
        (f"```tool_call\n{OBJECT}\n```", [F_A1]),
        (OBJECT, [F_A1]),
        (f"[{OBJECT}]", [F_A1]),
        (f"<think>hm</think>\n\n{OBJECT}", [thought("hm"), F_A1]),
        (f"```json\n{OBJECT[:-2]}", [ToolCall("call_1", "f", '{"a": 1', "the call was cut off")]),
    ],
)
def test_plain_reads_what_models_write_that_know_no_tools(reply: str, want: list[object]) -> None:
    for chunks in ([reply], list(reply)):
        assert joined(whole(PlainParser(tools=[ToolSpec("f", "", {})]), chunks)) == want


@pytest.mark.parametrize(
    "reply",
    [
        f"It looks so: {OBJECT}",
        OBJECT.replace('"f"', '"other"'),
        f"```json\n{OBJECT.replace('f', 'g', 1)}\n```",
        '```json\n{"a": 1}\n```',
        "```python\nprint({})\n```\n\nSo.",
        "[1] says so",
        "```json",
        "a list: [",
    ],
)
def test_plain_leaves_what_is_no_offered_tools_call(reply: str) -> None:
    for chunks in ([reply], list(reply)):
        parser = PlainParser(tools=[ToolSpec("f", "", {})])
        assert joined(whole(parser, chunks)) == [text(reply)]


def test_plain_shows_code_as_it_comes() -> None:
    parser = PlainParser(tools=[ToolSpec("f", "", {})])
    assert parser.feed("```py") == []
    assert joined(parser.feed("thon\nx")) == [text("```python\nx")]


def test_every_parser_is_found_by_the_scan() -> None:
    folder = "palaver.formats.parsers"
    assert {"hermes", "plain", "think"} <= set(scan.names(folder))
    for name in scan.names(folder):
        assert scan.load(folder, name, "PARSER")(opened=False).finish() == []


WORDS = [
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "\n", " ", "<", ">", "/", "a"),
    *("{", "}", "[", "]", '"', "\\", ":", ",", "1", "null", "é", "🙂", "name", "arguments"),
    *('{"name": "f", "arguments": {', '"a": "b"', '"name": "f"', '"arguments": ', CALL),
]
REPLIES = st.lists(st.sampled_from(WORDS), max_size=30).map("".join)


@settings(max_examples=MANY, deadline=None)
@given(REPLIES, st.lists(st.integers(0, 300), max_size=8), st.booleans())
def test_any_cut_gives_the_same(reply: str, cuts: list[int], opened: bool) -> None:
    places = sorted({0, *(c % (len(reply) + 1) for c in cuts), len(reply)})
    chunks = [reply[a:b] for a, b in pairwise(places)]
    for made in (HermesParser, ThinkParser):
        at_once = joined(whole(made(opened=opened), [reply]))
        assert joined(whole(made(opened=opened), chunks)) == at_once
        assert joined(whole(made(opened=opened), list(reply))) == at_once


@settings(max_examples=MANY, deadline=None)
@given(REPLIES, st.booleans())
def test_nothing_is_lost(reply: str, opened: bool) -> None:
    """What is no event's text is a tag or white space beside one."""
    parts = joined(whole(ThinkParser(opened=opened), list(reply)))
    gap = r"(?:<think>|</think>|\s)*"
    said = [re.escape(part[1]) for part in parts if isinstance(part, tuple)]
    assert re.fullmatch(gap + gap.join(said) + gap, reply)


@settings(max_examples=MANY, deadline=None)
@given(REPLIES, st.booleans())
def test_no_letter_is_lost_in_calls(reply: str, opened: bool) -> None:
    reply = reply.replace('"', "")  # no string, so no key that a call may have beside its own
    events = whole(HermesParser(opened=opened), list(reply))
    said = [
        event.arguments if isinstance(event, CallDelta) else event.text
        for event in events
        if not isinstance(event, CallParsed)
    ]
    assert [c for c in reply if c in "é🙂"] == [c for c in "".join(said) if c in "é🙂"]


@pytest.mark.slow
def test_any_cut_of_many_replies() -> None:
    """100,000 replies in full, 3,000 in short."""
    chance = random.Random(7)
    for _ in range(100_000 if FULL else 3_000):
        reply = "".join(chance.choices(WORDS, k=chance.randrange(1, 25)))
        opened = chance.random() < 0.3
        chunks, at = [], 0
        while at < len(reply):
            step = chance.choice((1, 1, 2, 3, 8, 40))
            chunks.append(reply[at : at + step])
            at += step
        for made in (HermesParser, ThinkParser):
            at_once = joined(whole(made(opened=opened), [reply]))
            assert joined(whole(made(opened=opened), chunks)) == at_once, (reply, chunks)

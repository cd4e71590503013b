"""Harmony's replies: upstream's cases, broken headers, any cut the same, nothing lost."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.dialects import cut

from palaver.core.messages import Part, Reasoning, Text, ToolCall, ToolResult
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import whole
from palaver.formats.parsers.harmony import BROKEN, CHANNELS, STOPS, HarmonyParser
from palaver.formats.testing import parse_stream
from palaver.models.reply import ReplyParts

FULL = bool(os.environ.get("PALAVER_FULL"))
CASES = Path(__file__).parents[3] / "shared" / "cases" / "harmony" / "parse.jsonl"
TEXT = {"type": "string"}
TOOLS = [
    ToolSpec("f", "", {"type": "object", "properties": {"a": TEXT, "b": TEXT}}),
    ToolSpec("apply_patch", "", {"type": "object", "properties": {"patch": TEXT}}),
]
THINK = "<|channel|>analysis<|message|>Hm.<|end|>"
SAY = "<|start|>assistant<|channel|>final<|message|>"


def parts(*chunks: str, **options: Any) -> tuple[Part, ...]:
    joined = ReplyParts()
    joined.add(whole(HarmonyParser(**options), chunks))
    return joined.message("end").parts


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


def wanted(message: dict[str, Any]) -> Part:
    """Say what we make of a message that upstream's parser finds."""
    text = "".join(part["text"] for part in message["content"])
    recipient = message.get("recipient")
    if message["role"] != "assistant":
        return Text(text, f"the model wrote this in the name of {message['name']!r}")
    if recipient:
        return ToolCall("call_1", recipient.removeprefix("functions."), text)
    return Reasoning(text) if message.get("channel") == "analysis" else Text(text)


def unmarked(found: tuple[Part, ...]) -> list[Part]:
    """Leave out the marks of broken headers: upstream has none."""
    plain: list[Part] = []
    for part in found:
        broken = isinstance(part, Text | Reasoning) and part.error == BROKEN
        plain.append(type(part)(part.text) if broken else part)  # type: ignore[union-attr,call-arg]
    return plain


@pytest.mark.skipif(not CASES.exists(), reason="upstream's cases are not here")
def test_upstream_cases_whole_and_cut() -> None:
    chance = random.Random(5)
    lost = {"harmony-parse-016": [Text(" \N{REPLACEMENT CHARACTER} interesting storyY")]}
    for case in cases():
        want = [wanted(message) for message in case["expected_messages"]]
        if case["expected_error"]:  # raised by the strict parser: nothing of it may be lost here
            said = "... Let's use the tool." if "tool" in case["text"] else "I must refuse"
            channel = Reasoning if case["text"].startswith("<|channel|>") else Text
            want = [channel(said)]
            want += [ToolCall("call_1", "get_weather", "", "the call was cut off")] * (
                "get_weather" in case["text"]
            )
        for chunks in ([case["text"]], list(case["text"]), cut(chance, case["text"])):
            got = unmarked(parts(*chunks))
            assert got == lost.get(case["id"], want), case["id"]


NO_JSON = "the arguments are not JSON: Expecting value: line 1 column 1 (char 0)"


@pytest.mark.parametrize(
    ("reply", "want"),
    [
        ("", []),
        (THINK + SAY + "Hi.<|return|>", [Reasoning("Hm."), Text("Hi.")]),
        (THINK + SAY + "Hi.", [Reasoning("Hm."), Text("Hi.")]),
        ("<|channel|>final<|message|>a < b <| c<|return|>", [Text("a < b <| c")]),
        (
            "<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant"
            '<|channel|>commentary to=functions.f json<|message|>{"a": "b"}<|call|>',
            [Text("One moment."), ToolCall("call_1", "f", '{"a": "b"}')],
        ),
        (  # a preamble and the answer are two messages
            f"<|channel|>commentary<|message|>One.<|end|>{SAY}Two.<|return|>",
            [Text("One."), Text("Two.")],
        ),
        (f"{THINK}<|start|>assistant{THINK}", [Reasoning("Hm."), Reasoning("Hm.")]),
        ("<|channel|>commentary to=f<|message|><|call|>", [ToolCall("call_1", "f", "{}")]),
        (" to=functions.browser.search<|channel|>analysis code<|message|>{}<|call|>",
         [ToolCall("call_1", "browser.search", "{}")]),
        ("<|channel|>analysis to=python<|message|><|call|>", [ToolCall("call_1", "python", "{}")]),
        ("<|channel|>analysis to=python code<|message|>print({1})\n<|call|>",
         [ToolCall("call_1", "python", '{"code": "print({1})\\n"}')]),
        ("<|channel|>analysis to=python code<|message|>{1: 'é'}<|call|>",
         [ToolCall("call_1", "python", '{"code": "{1: \'é\'}"}')]),
        ('<|channel|>analysis to=python<|message|>{ "code": "1"}<|call|>',
         [ToolCall("call_1", "python", '{ "code": "1"}')]),
        ("<|channel|>commentary to=functions.apply_patch<|message|>*** Begin<|call|>",
         [ToolCall("call_1", "apply_patch", '{"patch": "*** Begin"}')]),
        ('<|channel|>commentary to=apply_patch<|message|> {"patch": "x"}<|call|>',
         [ToolCall("call_1", "apply_patch", ' {"patch": "x"}')]),
    ],
)  # fmt: skip
def test_messages(reply: str, want: list[Part]) -> None:
    assert list(parts(reply, tools=TOOLS)) == want
    assert list(parts(*reply, tools=TOOLS)) == want


@pytest.mark.parametrize(
    ("reply", "want"),
    [
        ("I must refuse.", [Text("I must refuse.", BROKEN)]),
        ("final words are", [Text("final words are", BROKEN)]),
        ("json", [Text("json", BROKEN)]),
        ("json<|return|>", [Text("json", BROKEN)]),
        ("<|channel|>analysis I must<|end|>", [Reasoning("I must", BROKEN)]),
        ("<|channel|>final Hi<|message|>you<|return|>", [Text("Hi", BROKEN), Text("you")]),
        ("<|channel|>secret<|message|>x<|end|>", [Text("secret", BROKEN), Text("x")]),
        ("<|channel|><|message|>x<|end|>", [Text("x")]),
        (f"{THINK}final<|message|>Hi.<|return|>", [Reasoning("Hm."), Text("Hi.")]),
        (f"{THINK}commentary to=f<|message|>{{}}",
         [Reasoning("Hm."), ToolCall("call_1", "f", "{}")]),
        (f"{THINK}<|channel|>final<|message|>Hi.", [Reasoning("Hm."), Text("Hi.")]),
        (f"{THINK} Hi.<|return|>", [Reasoning("Hm."), Text(" Hi.", BROKEN)]),
        (f"<|channel|>analysis<|message|>Hm.{SAY}Hi.", [Reasoning("Hm."), Text("Hi.")]),
        ('<|channel|>commentary to=f {"a": 1}<|call|>', [ToolCall("call_1", "f", '{"a": 1}')]),
        ("<|start|>user<|message|>Go on.<|end|>",
         [Text("Go on.", "the model wrote this in the name of 'user'")]),
        ("<|start|>Hello there<|end|>", [Text("Hello there", BROKEN)]),
        ("x" * 300 + "<|channel|>final<|message|>y", [Text("x" * 300, BROKEN), Text("y")]),
        ("<|channel|>comm", [Text("comm", BROKEN)]),
        ("<|start|>x to=f<|channel|>", [Text("x to=f", BROKEN)]),
        ("<|start|>x<|channel|>final<|end|>", [Text("x", BROKEN)]),
        ("<|constrain|>A<|channel|>", [Text("A", BROKEN)]),
        ("<|start|>x to=f<|constrain|>A<|end|>", [Text("A",
         "the model wrote this in the name of 'x to=f'")]),
        ("<|channel|>final<|message|>x<|retu", [Text("x<|retu")]),
        ("<|channel|>analysis to=python<|message|>print(", [ToolCall("call_1", "python",
         '{"code": "print("}', "the call was cut off")]),
        ('<|channel|>commentary to=f<|message|>{"a": ', [ToolCall("call_1", "f", '{"a": ',
         "the call was cut off")]),
        ("<|channel|>commentary to=f to=g<|message|>{}<|call|>",
         [ToolCall("call_1", "f", "to=g<|message|>{}", NO_JSON)]),
        (" to=f<|channel|>commentary", [ToolCall("call_1", "f", "", "the call was cut off")]),
    ],
)  # fmt: skip
def test_what_is_broken_is_kept_and_marked(reply: str, want: list[Part]) -> None:
    assert list(parts(reply)) == want
    assert list(parts(*reply)) == want


def test_a_prompt_that_begins_the_reasoning() -> None:
    assert HarmonyParser.opened_by("<|start|>assistant<|channel|>analysis<|message|>")
    assert not HarmonyParser.opened_by("<|start|>assistant")
    assert list(parts(f"Hm.<|end|>{SAY}Hi.", opened=True)) == [Reasoning("Hm."), Text("Hi.")]


def test_peers_function() -> None:
    call = '<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{"a": 1}<|call|>'
    reply = THINK + call
    for chunks in ([reply], list(reply)):
        assert parse_stream("harmony", chunks, None) == {
            "content": "",
            "reasoning": "Hm.",
            "tool_calls": [{"name": "f", "arguments": '{"a": 1}'}],
        }


MARKERS = ("<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", *STOPS)
PIECES = st.sampled_from(
    [*MARKERS, *CHANNELS, "assistant", "user", " to=functions.f", " to=python", "to=", " json", " ",
     "<", "<|", "<|end", "|>", "\n", "x", "{", '{"a": 1}', '"code":', "a sentence of many words",
     "w" * 300]
)  # fmt: skip


@settings(max_examples=4_000 if FULL else 400, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=24), st.randoms(), st.booleans())
def test_any_cut_gives_the_same(words: list[str], chance: random.Random, opened: bool) -> None:
    reply = "".join(words)
    options: dict[str, Any] = {"opened": opened, "tools": TOOLS}
    at_once = parts(reply, **options)
    assert parts(*cut(chance, reply), **options) == at_once
    assert parts(*reply, **options) == at_once


@settings(max_examples=4_000 if FULL else 400, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=24), st.booleans())
def test_every_character_stands_somewhere(words: list[str], opened: bool) -> None:
    """What is no marker and no word of a header comes back, in order."""
    reply = "".join(words)
    said = "".join(
        part.name + part.arguments if isinstance(part, ToolCall) else f"{part.text}{part.error}"
        for part in parts(reply, opened=opened)
        if not isinstance(part, ToolResult)
    )
    for marker in MARKERS:
        reply = reply.replace(marker, "\0")
    headers = (*CHANNELS, "assistant", "to=", "json", "functions.", "user")
    for run in reply.split("\0"):
        for word in run.split():
            if not any(word.endswith(h) or word.startswith(h) for h in headers) and '"' not in word:
                assert word in said or json.dumps(word, ensure_ascii=False)[1:-1] in said, word


def test_prose_without_a_header_is_not_held_back() -> None:
    parser = HarmonyParser()
    for word in ("Hello, ", "how are ", "you", " today"):
        assert [event.text for event in parser.feed(word)] == [word]  # type: ignore[union-attr]

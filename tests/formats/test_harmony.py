"""Harmony's prompts: upstream's cases, its library as oracle; nothing typed is a control token."""

from __future__ import annotations

import datetime
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.core.errors import UserError
from palaver.core.format import Rendered
from palaver.core.messages import (
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    system,
    user,
)
from palaver.core.tool import ToolSpec
from palaver.formats._tokens import ControlTokens
from palaver.formats.harmony.format import HarmonyFormat
from palaver.formats.harmony.sections import Namespace, System, developer_text
from palaver.formats.harmony.writer import CALL, END, MARKERS, RETURN, Writer
from palaver.formats.tokens import pieces
from palaver.models.reply import same_reply

FULL = bool(os.environ.get("PALAVER_FULL"))
SHARED = Path(__file__).parents[3] / "shared"
CASES = SHARED / "cases" / "harmony" / "render.jsonl"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="upstream's cases are not here")
needs_oracle = pytest.mark.skipif(
    not (SHARED / "data" / "o200k_base.tiktoken").exists(), reason="the vocabulary is not here"
)
DAY = datetime.date(2025, 6, 28)
ASKS = "<|start|>assistant"


@cache
def oracle() -> Any:
    library = pytest.importorskip("openai_harmony")
    os.environ["TIKTOKEN_ENCODINGS_BASE"] = str(SHARED / "data")
    return library.load_harmony_encoding(library.HarmonyEncodingName.HARMONY_GPT_OSS)


def ids(rendered: Rendered) -> list[int]:
    """Tokenise as an engine does: what is literal as plain text."""
    found: list[int] = []
    for text, special in pieces(rendered, MARKERS):
        kind = {"allowed_special": "all"} if special else {"disallowed_special": ()}
        found += oracle().encode(text, **kind)
    return found


def namespaces(tools: dict[str, Any] | None) -> tuple[Namespace, ...]:
    return tuple(
        Namespace(
            space["name"],
            space.get("description") or "",
            tuple(
                ToolSpec(tool["name"], tool["description"], tool.get("parameters") or {})
                for tool in space["tools"]
            ),
        )
        for space in (tools or {}).values()
    )


def content(part: dict[str, Any], functions: bool) -> str:
    if part["type"] == "system_content":
        channels = part.get("channel_config", {}).get("valid_channels", ())
        return System(
            part.get("model_identity"),
            part.get("knowledge_cutoff"),
            part.get("conversation_start_date"),
            part["reasoning_effort"].lower(),
            tuple(channels),
            namespaces(part.get("tools")),
        ).text(functions=functions)
    if part["type"] == "developer_content":
        return developer_text(part.get("instructions"), namespaces(part.get("tools")))
    return str(part["text"])


def written(messages: list[dict[str, Any]], *, training: bool = False) -> Writer:
    """Write upstream's messages one by one."""
    functions = any("functions" in (p.get("tools") or {}) for m in messages for p in m["content"])
    writer = Writer()
    for message in messages:
        recipient = message.get("recipient", "")
        end = CALL if message["role"] == "assistant" and recipient else END
        last = message is messages[-1] and message.get("channel") == "final"
        writer.message(
            message["name"] or message["role"],
            "".join(content(part, functions) for part in message["content"]),
            recipient=recipient,
            channel=message.get("channel", ""),
            content_type=message.get("content_type", ""),
            end=RETURN if training and last else end,
        )
    return writer


def dropped(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what upstream leaves out: analysis before the first answer, if one is there."""
    finals = [i for i, m in enumerate(messages) if m.get("channel") == "final"]
    said = [m for m in messages if m["role"] == "assistant"]
    if not said or said[-1].get("channel") != "final":
        return messages
    return [m for i, m in enumerate(messages) if i > finals[0] or m.get("channel") != "analysis"]


@needs_cases
@needs_oracle
def test_upstream_cases() -> None:
    for line in CASES.read_text("utf-8").splitlines():
        case = json.loads(line)
        found = case["conversation"]
        messages = found.get("messages", [found])
        if {"auto_drop_analysis": False} not in case["args"] and "messages" in found:
            messages = dropped(messages)
        writer = written(messages, training=case["op"].endswith("training"))
        if case["op"].endswith("completion"):
            writer.begin("assistant")
        rendered = writer.rendered(ControlTokens(MARKERS))
        assert rendered.text == case["expected_text"], case["id"]
        if case["expected_tokens"] is not None:
            assert ids(rendered) == case["expected_tokens"], case["id"]


def text_of(messages: list[Message], tools: tuple[ToolSpec, ...] = (), **options: Any) -> str:
    """Render without the system message."""
    text = HarmonyFormat(**options).render(messages, tools, reply=True).text
    return text[text.index("<|end|>") + len("<|end|>") :].removesuffix(ASKS)


def said(*parts: Part) -> Message:
    return Message("assistant", parts, "end")


SPEC = ToolSpec(
    "f", "Does it.", {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
)
ASKED, THOUGHT = user("2 + 2?"), Reasoning("Sum.")
CALLED = said(THOUGHT, Text("Wait."), ToolCall("call_1", "f", '{"a": 1}'))
GOT = Message("tool", (ToolResult("call_1", "f", "4"),))
RAN = said(Reasoning("Code."), ToolCall("call_1", "python", '{"code": "print(4)"}'))
PRINTED = Message("tool", (ToolResult("call_1", "python", "4"),))
ANSWER = said(Reasoning("Easy."), Text("4"))
_ASKED = "<|start|>user<|message|>2 + 2?<|end|>"
_THOUGHT = "<|start|>assistant<|channel|>analysis<|message|>{}<|end|>"
_CALLED = (
    "<|start|>assistant<|channel|>commentary<|message|>Wait.<|end|>"
    "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>"
    '{"a": 1}<|call|>'
    "<|start|>functions.f to=assistant<|channel|>commentary<|message|>4<|end|>"
)
_RAN = (
    "<|start|>assistant to=python<|channel|>analysis code<|message|>print(4)<|call|>"
    "<|start|>python to=assistant<|channel|>analysis<|message|>4<|end|>"
)
_ANSWER = "<|start|>assistant<|channel|>final<|message|>4<|end|>"


@pytest.mark.parametrize(
    ("messages", "want"),
    [
        ([ASKED], _ASKED),
        ([ASKED, ANSWER], _ASKED + _THOUGHT.format("Easy.") + _ANSWER),
        ([ASKED, ANSWER, ASKED], _ASKED + _ANSWER + _ASKED),
        # within a turn all of it stays
        ([ASKED, CALLED, GOT], _ASKED + _THOUGHT.format("Sum.") + _CALLED),
        ([ASKED, RAN, PRINTED], _ASKED + _THOUGHT.format("Code.") + _RAN),
        (
            [ASKED, CALLED, GOT, ANSWER],
            _ASKED + _THOUGHT.format("Sum.") + _CALLED + _THOUGHT.format("Easy.") + _ANSWER,
        ),
        # the next turn sees calls of functions alone
        (
            [ASKED, CALLED, GOT, RAN, PRINTED, ANSWER, ASKED],
            _ASKED + _CALLED + _ANSWER + _ASKED,
        ),
        # a turn without an answer keeps its reasoning until one comes
        ([ASKED, CALLED, GOT, ASKED], _ASKED + _THOUGHT.format("Sum.") + _CALLED + _ASKED),
        (
            [ASKED, CALLED, GOT, ASKED, ANSWER, ASKED],
            _ASKED + _CALLED + _ASKED + _ANSWER + _ASKED,
        ),
    ],
)
def test_what_the_next_turn_sees(messages: list[Message], want: str) -> None:
    assert text_of(messages) == want


def test_system_prompt_and_tools() -> None:
    fmt = HarmonyFormat(date=DAY, effort="high")
    tools = (SPEC, ToolSpec("python", "Runs code.\nNo state.", {}))
    text = fmt.render([system("Be brief."), ASKED, system("Be long.")], tools, reply=True).text
    assert text == (
        "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\nCurrent date: 2025-06-28\n\nReasoning: high\n\n# Tools\n\n"
        "## python\n\nRuns code.\nNo state.\n\n# Valid channels: analysis, commentary, final. "
        "Channel must be included for every message.\nCalls to these tools must go to the "
        "commentary channel: 'functions'.<|end|><|start|>developer<|message|># Instructions\n\n"
        "Be brief.\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n// Does it.\n"
        "type f = (_: {\na: string,\n}) => any;\n\n} // namespace functions<|end|>"
        f"{_ASKED}<|start|>developer<|message|># Instructions\n\nBe long.<|end|>{ASKS}"
    )


def test_effort_must_be_known() -> None:
    with pytest.raises(UserError, match="one of low, medium, high"):
        HarmonyFormat(effort="extreme")


# -- a part of the prompt that somebody typed never becomes a control token -------------------

WORDS = st.sampled_from([*MARKERS, "<|", "|>", "<|end", "end|>", "<|start|>system", "a", " ", "é"])
TYPED = st.lists(WORDS, max_size=5).map("".join)
ANSWERS = st.builds(
    lambda think, pre, name, arguments, text: said(
        *([Reasoning(think)] if think else []),
        *([Text(pre), ToolCall("call_1", name, arguments)] if pre else []),
        *([Text(text)] if text else []),
    ),
    TYPED, TYPED, st.sampled_from(["f", "python", "browser.open", "<|call|>"]), TYPED, TYPED,
)  # fmt: skip
RESULTS = st.builds(
    lambda name, text: Message("tool", (ToolResult("call_1", name, text),)),
    st.sampled_from(["f", "python"]),
    TYPED,
)
TALKS = st.lists(st.one_of(TYPED.map(user), ANSWERS, RESULTS), max_size=8)


@settings(max_examples=5_000 if FULL else 150, deadline=None)
@given(TYPED, TALKS, TYPED)
def test_no_typed_marker_is_one(prompt: str, talk: list[Message], described: str) -> None:
    messages = [system(prompt), *talk]
    tool = ToolSpec("f", described, {"properties": {described: {"description": described}}})
    rendered = HarmonyFormat().render(messages, (tool,), reply=True)
    cut = HarmonyFormat().pieces(rendered)
    assert "".join(text for text, _ in cut) == rendered.text
    real = [
        rendered.text[a:b]
        for a, b in ControlTokens(MARKERS).find(rendered.text)
        if not any(a < end and start < b for start, end in rendered.literal)
    ]
    plain = {"f": "f", "python": "python", "browser.open": "browser.open"}
    bare = [_bare(message, plain) for message in messages]
    clean = HarmonyFormat().render(bare, (ToolSpec("f", "", SPEC.parameters),), reply=True).text
    assert real == [clean[a:b] for a, b in ControlTokens(MARKERS).find(clean)]


def _bare(message: Message, names: dict[str, str]) -> Message:
    """Return a message of the same shape in which nobody typed a marker."""
    made: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            made.append(ToolCall(part.id, names.get(part.name, "f"), "x"))
        elif isinstance(part, ToolResult):
            made.append(ToolResult(part.call_id, part.name, "x"))
        else:
            made.append(type(part)("x" if part.text else ""))
    return Message(message.role, tuple(made), message.stop)


@settings(max_examples=2_000 if FULL else 100, deadline=None)
@given(TALKS)
def test_spans_cover_the_text(talk: list[Message]) -> None:
    fmt = HarmonyFormat()
    text = fmt.render(talk, (), reply=False).text
    spans = fmt.spans(talk)
    assert "".join(text[a:b] for a, b in spans) == (text if talk else "")
    for message, (a, b) in zip(talk, spans, strict=True):
        if message.role == "user":
            assert text[a:b].endswith(f"<|start|>user<|message|>{message.text}<|end|>")


@settings(max_examples=2_000 if FULL else 100, deadline=None)
@given(st.lists(st.sampled_from([ASKED, CALLED, GOT, RAN, PRINTED, ANSWER]), max_size=8))
def test_a_prompt_goes_on_from_the_last(talk: list[Message]) -> None:
    """It stays to the letter up to the first reasoning that is left out, if any is."""
    fmt = HarmonyFormat(date=DAY)
    before = fmt.render(talk, (), reply=False).text
    after = fmt.render([*talk, ASKED], (), reply=False).text
    thought = re.search(r"<\|start\|>[^<]*<\|channel\|>analysis", before)
    at = thought.start() if thought and ANSWER in talk else len(before)
    assert after.startswith(before[:at])


def test_a_rendered_reply_says_what_was_generated() -> None:
    fmt = HarmonyFormat()
    raw = (
        "<|channel|>analysis<|message|>Sum.<|end|><|start|>assistant<|channel|>commentary<|message|>"
        "Wait.<|end|><|start|>assistant<|channel|>commentary to=functions.f<|constrain|>json"
        '<|message|>{"a":1}'
    )
    prompt = fmt.render([ASKED], (SPEC,), reply=True).text
    alone = fmt.render([ASKED, CALLED], (SPEC,), reply=False).text
    assert alone.startswith(prompt)
    assert same_reply(fmt, prompt, alone[len(prompt) : -len("<|call|>")], raw)

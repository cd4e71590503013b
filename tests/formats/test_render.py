"""Rendering: equal to plain Jinja, with what a template can't do folded into what it can."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.formats.talks import (
    CALLS,
    CONTROL,
    SHARED,
    TALK,
    TEMPLATES,
    WEATHER,
    dicts,
    messages_of,
    ordinary,
    said,
)

from palaver.core.errors import UserError
from palaver.core.messages import Message, Text, ToolCall, ToolResult, assistant, system, user
from palaver.core.tool import ToolSpec
from palaver.formats._capabilities import Capabilities
from palaver.formats.template import TemplateFormat

GOLDEN = Path(__file__).parent / "golden"
DATE = datetime.date(2026, 1, 2)
NEEDS_SHARED = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/cases/templates")


def make(name: str) -> TemplateFormat:
    return TemplateFormat(TEMPLATES[name], "<s>", "</s>", CONTROL[name], date=DATE)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_golden_prompt(name: str) -> None:
    made = make(name).render(CALLS, [WEATHER], reply=True)
    assert made.text == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert made.literal == ()


@pytest.mark.parametrize("reply", [False, True])
@pytest.mark.parametrize("messages", [TALK, CALLS], ids=["talk", "calls"])
def test_hermes_template_is_written_as_plain_jinja_writes_it(
    messages: tuple[Message, ...], reply: bool
) -> None:
    want = ordinary(TEMPLATES["hermes"], dicts(messages), tools=None, add_generation_prompt=reply)
    assert make("hermes").render(messages, reply=reply).text == want


def _same(row: dict[str, Any], made: TemplateFormat) -> bool:
    """Say whether a golden row asks nothing that this template can't do."""
    can, case = made.capabilities, row["case"]
    if row["expected_error"] or (case == "plain" and not can.system):
        return False
    if case != "plain" and not can.tools:
        return False
    return case != "tool_roundtrip" or (can.calls and can.results and not can.content_none)


@NEEDS_SHARED
def test_peers_templates_are_written_as_plain_jinja_writes_them() -> None:
    same = 0
    made: dict[str, TemplateFormat] = {}
    for line in (SHARED / "golden_python_jinja2.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        name = row["template_file"]
        if name not in made:
            text = (SHARED / name).read_text("utf-8")
            bos, eos = row["bos_token"], row["eos_token"]
            made[name] = TemplateFormat(text, bos, eos, {bos, eos}, date=DATE)
        tools = [ToolSpec(**_spec(tool)) for tool in row.get("tools", ())]
        messages = messages_of(row["messages"])
        reply = row["add_generation_prompt"]
        try:
            text = made[name].render(messages, tools, reply=reply).text
        except UserError:
            assert row["expected_error"], row["id"]  # the template refuses plain Jinja as well
            continue
        if _same(row, made[name]):
            assert text == row["expected"], row["id"]
            same += 1
        else:  # what it can't do is folded: nothing is lost
            assert messages[-1].text in text, row["id"]
    assert same == 182  # the others are 12 that plain Jinja refuses and 16 that need a fold


def _spec(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: tool["function"][key] for key in ("name", "description", "parameters")}


BLANK_LINE = (
    "a system prompt that goes into the user's message is parted by a blank line, not a line"
)
# llama.cpp's renderings that ours differ from, and why; none is plain Jinja's
DIFFERENT = {
    "llamacpp-tmpl-02": BLANK_LINE,
    "llamacpp-tmpl-06": BLANK_LINE,
    "llamacpp-tmpl-07": BLANK_LINE,
    "llamacpp-tmpl-14": BLANK_LINE,
    "llamacpp-tmpl-16": BLANK_LINE,
    "llamacpp-tmpl-28": "the template reads additional_special_tokens, which no GGUF has",
    "llamacpp-tmpl-31": BLANK_LINE,
}


@NEEDS_SHARED
def test_peers_renderings() -> None:
    different = set()
    rows = (SHARED / "rendering_cases.jsonl").read_text("utf-8").splitlines()
    for row in map(json.loads, rows):
        made = TemplateFormat(row["template"], row["bos_token"], row["eos_token"], date=DATE)
        reply = row["add_generation_prompt"]
        try:
            text = made.render(messages_of(row["messages"]), reply=reply).text
        except UserError:
            text = ""
        if DIFFERENT.get(row["id"]) == BLANK_LINE:
            assert text.replace("assistant\n\n", "assistant\n") == row["expected"]
        if text != row["expected"]:
            assert not row["python_jinja2_agrees"]
            different.add(row["id"])
    assert len(rows) == 36
    assert different == set(DIFFERENT)


def test_system_is_folded_into_the_user_where_there_is_no_such_role() -> None:
    text = make("composed").render(TALK, reply=True).text
    assert text.startswith("<s><|user|>\nBe kind.\n\nHello there.<|end|>\n<|assistant|>\nHello!")
    alone = make("composed").render([system("Be kind.")], reply=False).text
    assert alone == "<s><|user|>\nBe kind.<|end|>\n"


def test_tools_calls_and_results_are_folded_into_text() -> None:
    text = make("composed").render(CALLS, [WEATHER], reply=False).text
    assert '"name": "get_weather"' in text.split("<|assistant|>")[0]
    assert (
        'One moment.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n'
        "</tool_call><|end|>\n<|user|>\n<tool_response>\nsunny, 21 °C\n</tool_response><|end|>"
    ) in text


@pytest.mark.parametrize(
    ("template", "want"),
    [
        (
            "{{ tools }}List of tools: {% for m in messages %}<{{ m.content }}>{% endfor %}",
            "<One moment.\n<|tool_call_start|>[get_weather(city='Paris')]<|tool_call_end|>>",
        ),
        (
            "{{ tools }}<|tool_call|>{% for m in messages %}<{{ m.content }}>{% endfor %}",
            '<One moment.\n<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]>',
        ),
        (
            "{{ tools }}{% for m in messages %}<{{ m.content }}>{% endfor %}",
            '<One moment.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n'
            "</tool_call>>",
        ),
    ],
)
def test_calls_are_folded_as_the_model_writes_them(template: str, want: str) -> None:
    assert want in TemplateFormat(template).render(CALLS, [WEATHER], reply=False).text


def test_text_goes_before_calls_where_the_template_drops_it_beside_them() -> None:
    made = make("strict")
    assert made.capabilities.text_before
    assert not made.capabilities.text_beside
    text = made.render(CALLS, [WEATHER], reply=False).text
    assert "[ASSISTANT]ONE MOMENT.[CALL]get_weather[ARGS]" in text


CAN = [c for c in Capabilities.__struct_fields__ if c not in ("content_none", "no_tools")]


@NEEDS_SHARED
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("Qwen-Qwen3-0.6B", "arguments_text"),
        ("google-gemma-2-2b-it", " ".join(c for c in CAN if c != "ids")),
        ("LFM2-8B-A1B", "calls parallel arguments_text text_beside text_before"),
        ("meta-llama-Llama-3.2-3B-Instruct", "parallel arguments_text text_beside"),
        ("mistralai-Mistral-Nemo-Instruct-2407", "ids arguments_text text_beside"),
        ("meetkai-functionary-medium-v3.2", ""),
        # it writes calls and knows no tools: they are described and written in another way
        ("deepseek-ai-DeepSeek-V3.1", "tools calls parallel results arguments_text"),
    ],
)
def test_what_real_templates_can_do(name: str, missing: str) -> None:
    text = (SHARED / f"{name}.jinja").read_text("utf-8")
    can = TemplateFormat(text, "<s>", "</s>").capabilities
    assert [c for c in CAN if not getattr(can, c)] == missing.split()


def test_results_of_one_answer_are_folded_into_one_message() -> None:
    calls = said(ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))
    results = Message("tool", (ToolResult("a", "f", "one"), ToolResult("b", "g", "two")))
    text = make("composed").render([user("x"), calls, results], reply=False).text
    assert text.count("<|user|>") == 2
    assert text.index("one") < text.index("two")


def test_calls_are_parted_where_one_an_answer_is_allowed() -> None:
    calls = said(Text("now"), ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "g", "{}"))
    results = [
        Message("tool", (ToolResult("call_1", "f", "one"),)),
        Message("tool", (ToolResult("call_2", "g", "two"),)),
    ]
    text = make("strict").render([user("x"), calls, *results], reply=False).text
    first, second = text.index("[CALL]f[ARGS]"), text.index("[CALL]g[ARGS]")
    assert first < text.index(" one") < second < text.index(" two")


def test_a_result_of_no_call_is_kept() -> None:
    calls = said(ToolCall("call_1", "f", "{}"), ToolCall("call_1", "g", "{}"))
    results = Message("tool", (ToolResult("call_1", "f", "one"), ToolResult("x", "h", "two")))
    text = make("strict").render([user("x"), calls, results], reply=False).text
    assert text.count(" one") == text.count(" two") == 1


def test_ids_become_nine_letters_where_others_are_refused() -> None:
    text = make("strict").render(CALLS, reply=False).text
    short = text.partition("[RESULT]")[2].partition(" ")[0]
    assert len(short) == 9
    assert short.isalnum()
    kept = said(ToolCall("abcdefghi", "f", "{}"))
    result = Message("tool", (ToolResult("abcdefghi", "f", "r"),))
    assert "[RESULT]abcdefghi r" in make("strict").render([kept, result], reply=False).text


def test_arguments_go_as_text_where_objects_are_refused() -> None:
    can = make("strict").capabilities
    assert can.arguments_text
    assert '[ARGS]{"city": "Paris"}' in make("strict").render(CALLS, reply=False).text


@pytest.mark.parametrize("arguments", ['{"city": ', "[1]", "", "null", "[" * 5000])
def test_broken_arguments_stay_in_the_conversation(arguments: str) -> None:
    broken = said(ToolCall("call_1", "f", arguments, "not JSON"))
    text = make("hermes").render([user("x"), broken], reply=False).text
    assert json.dumps(arguments)[1:-1] in text
    assert '{"name": "f", "arguments": ' in text


def test_a_refusal_has_the_templates_words() -> None:
    made = TemplateFormat("{{ raise_exception('Roles must alternate') }}")
    with pytest.raises(UserError, match="Roles must alternate"):
        made.render([user("x")], reply=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{% if %}", "line 1"),
        ("{{ messages[0].content + 1 }}", "TypeError"),
        ("{{ messages[0].text.upper() }}", "text"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ messages | pprint }}", "pprint"),
        ("x" * 70_000, "65,536"),
    ],
)
def test_a_broken_template_is_the_users_error(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        TemplateFormat(text).render([user("x")], reply=True)


def test_the_date_is_the_conversations_not_the_clocks() -> None:
    text = make("dated").render([user("x")], reply=True).text
    assert text == '02 Jan 2026|x{"ü": "<&>"}'


def test_rendering_twice_gives_the_same() -> None:
    made = make("hermes")
    assert made.render(CALLS, [WEATHER], reply=True) == made.render(CALLS, [WEATHER], reply=True)


def test_the_newest_messages_come_last() -> None:
    talk = [user("a"), assistant("b"), user("c"), assistant("d"), user("e")]
    text = make("hermes").render(talk, reply=True).text
    places = [text.index(f"\n{word}<") for word in "abcde"]
    assert places == sorted(places)

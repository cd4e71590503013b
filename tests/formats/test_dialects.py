"""Dialects: peers' cases whole and cut, one claim a template, any cut gives the same events."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.dialects import TOOLS, cut, words
from tests.formats.test_parsers import joined

from palaver import assemble
from palaver.cli import flags, models
from palaver.config.settings import Settings
from palaver.core import scan
from palaver.core.errors import UserError
from palaver.core.events import CallParsed
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolSpec
from palaver.engines.llama_cpp.describe import describe
from palaver.formats import testing
from palaver.formats.dialects import ALIASES, PARSERS, find
from palaver.formats.parsers._base import whole
from palaver.formats.template import TemplateFormat, claimants
from palaver.launch import engine_options

FULL = bool(os.environ.get("PALAVER_FULL"))
CASES = Path(__file__).parents[3] / "shared" / "cases"
NANO = Path(__file__).parents[1] / "data" / "palaver-nano.gguf"
NAMES = scan.names(PARSERS)

# Strict rows that we answer otherwise, and why
DIFFERENT = {
    "mlx-lm-glm45-004": "quotes around a text are the text's",
    "ollama-cogito-007": "what the model wrote between tool outputs' markers is text",
    "ollama-gemma4-029": "reasoning is kept though the user asked for none",
    "ollama-hermes-002": "a thinking block is one without a thinking mode, too",
    "ollama-hermes-006": "the same",
    "ollama-hermes-049": "a repeated opening tag is no reasoning",
    "ollama-hermes-051": "a call within reasoning is reasoning",
    "ollama-hermes-052": "the same",
    "ollama-mistral-022": "reasoning is kept",
    "ollama-mistral-025": "the row doesn't say that the prompt had begun to think",
    "ollama-mistral-026": "the same",
    "ollama-mistral-027": "the same",
    "ollama-mistral-029": "the same",
    "ollama-mistral-030": "the same",
    "ollama-mistral-031": "reasoning is kept",
    "sglang-gigachat3-001": "a call whose arguments are no object is kept, with an error",
    "sglang-gigachat3-001_2": "the same",
    "sglang-kimi_k2-005_2": "a cut-off call is kept as it came",
    "sglang-kimi_k2-033": "no call is dropped",
    "sglang-json_array-002_2": "the row's stream ends before what it shows is read",
    "sglang-json_array-005": "a cut-off call is kept",
    "sglang-json_array-013": "the row's stream ends before what it shows is read",
}


def peers() -> list[dict[str, Any]]:
    files = sorted((CASES / "tool_parsing").glob("*.jsonl"))
    return [json.loads(row) for file in files for row in file.read_text("utf-8").splitlines()]


def wrong(row: dict[str, Any], chunks: list[str]) -> bool:
    """Say whether a peer expects something else."""
    got = testing.parse_stream(row["format"], chunks, row["tools"], row["prompt_state"])
    want = row["expected"]
    for field in ("content", "reasoning"):
        if field in row["asserts"] and (want[field] or "").strip() != got[field].strip():
            return True
    if "tool_calls" not in row["asserts"]:
        return False
    calls = [(call["name"], value(call["arguments"])) for call in got["tool_calls"]]
    return calls != [(call["name"], value(call["arguments"])) for call in want["tool_calls"]]


def value(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments or {}


@pytest.mark.skipif(not CASES.exists(), reason="the peers' cases are not here")
def test_peers_strict_rows() -> None:
    """Whole, a character at a time, and cut at random."""
    chance = random.Random(3)
    different = set()
    for row in peers():
        text = row["model_output"]
        for chunks in ([text], list(text), cut(chance, text)):
            if wrong(row, chunks) and not row["lenient"] and not row.get("partial"):
                different.add(row["id"])
    assert different == set(DIFFERENT)


@pytest.mark.skipif(not CASES.exists(), reason="the templates are not here")
def test_every_template_is_claimed_once() -> None:
    for file in sorted((CASES / "templates").glob("*.jinja")):
        names = claimants(file.read_text("utf-8"))
        assert len(names) == 1, (file.stem, names)


def test_a_user_chooses_the_dialect() -> None:
    template = "{{ messages[0].content }}{{ tools }}<tool_call>"
    assert TemplateFormat(template, dialect="mistral").dialect == "mistral"
    parser = TemplateFormat(template, dialect="mistral").parser("")
    call = ToolCall("call_1", "f", '{"a": 1}')
    assert joined(parser.feed('[TOOL_CALLS]f[ARGS]{"a": 1}')) == [call]
    assert parser.finish() == []
    with pytest.raises(UserError, match="take one of apertus"):
        TemplateFormat(template, dialect="klingon")
    with pytest.raises(UserError, match="did you mean 'qwen3_coder'"):
        TemplateFormat(template, dialect="Qwen3-Coder-XML")


def test_what_others_call_them_is_known() -> None:
    assert set(ALIASES.values()) <= set(NAMES)
    assert find("Qwen3-Coder-XML") == find("qwen3_coder") == "qwen3_coder"
    with pytest.raises(KeyError):
        find("klingon")


def test_the_choice_comes_from_flag_and_config() -> None:
    values = flags.read(["--dialect", "granite3"])
    assert values == {"dialect": "granite3"}
    chosen = Settings(**values)
    file = describe(engine_options(Settings(model=str(NANO), threads=1)))
    assert assemble.make_format(file).replies == "hermes (as the template writes calls)"
    made = assemble.make_format(file, dialect=chosen.dialect)
    assert made.replies == "granite3 (your choice)"
    bare = msgspec.structs.replace(file, template=None)
    assert assemble.make_format(bare).replies == "plain (the template knows no tools)"
    assert assemble.make_format(bare, dialect="mistral").dialect == "mistral"
    with pytest.raises(UserError, match="did you mean 'hermes'"):
        assemble.check_model(Settings(model=str(NANO), dialect="granite4"))


def test_inspect_says_the_dialect() -> None:
    ran = CliRunner().invoke(models.COMMAND, ["inspect", str(NANO)])
    assert "replies       hermes (as the template writes calls)" in ran.output
    assert "takes         system messages, tools, several calls an answer, results" in ran.output


@pytest.mark.parametrize("name", NAMES)
def test_any_cut_gives_the_same(name: str) -> None:
    """Generated replies: the events don't depend on the cut, nothing raises, no letter is lost."""
    made = scan.load(PARSERS, name, "PARSER")
    chance = random.Random(name)
    vocabulary = words(name, made)
    for _ in range(4_000 if FULL else 120):
        reply = "".join(chance.choices(vocabulary, k=chance.randrange(1, 25)))
        options = {"opened": chance.random() < 0.2, "tools": TOOLS if chance.random() < 0.5 else ()}
        at_once = joined(whole(made(**options), [reply]))
        for chunks in (cut(chance, reply), list(reply)):
            assert joined(whole(made(**options), chunks)) == at_once, (reply, options, chunks)
        assert said(at_once).count("é") >= reply.count("é"), (reply, options)


@pytest.mark.skipif(not CASES.exists(), reason="the peers' cases are not here")
def test_any_cut_of_peers_replies() -> None:
    chance = random.Random(11)
    for row in peers():
        made = scan.load(PARSERS, find(row["format"]), "PARSER")
        text = row["model_output"]
        text = text[: chance.randrange(len(text) + 1)]
        at_once = joined(whole(made(), [text]))
        for _ in range(50 if FULL else 2):
            chunks = cut(chance, text)
            assert joined(whole(made(), chunks)) == at_once, (row["id"], chunks)


@settings(max_examples=2_000 if FULL else 60, deadline=None)
@given(st.sampled_from(NAMES), st.text(max_size=80))
def test_text_without_markers_is_text(name: str, text: str) -> None:
    made = scan.load(PARSERS, name, "PARSER")
    text = "x" + text.translate({ord(c): "-" for c in "<[{`:◁"})
    assert said(joined(whole(made(), list(text)))) == text


def said(parts: list[object]) -> str:
    """Return all that is in a reply's parts."""
    out = []
    for part in parts:
        if isinstance(part, ToolCall):
            out.append(part.id + part.name + part.arguments + (part.error or ""))
        else:
            assert isinstance(part, tuple)
            out.append(part[1])
    return "".join(out)


def calls(name: str, reply: str, **options: Any) -> list[tuple[str, Any, str | None]]:
    events = whole(scan.load(PARSERS, name, "PARSER")(**options), list(reply))
    found = [event.call for event in events if isinstance(event, CallParsed)]
    return [(call.name, value(call.arguments), call.error) for call in found]


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("apertus", 'a<|tools_prefix|>[{"f": {"a": "b"}}]<|tools_suffix|>'),
        (
            "command_r7b",
            'a<|START_ACTION|>[\n{"tool_call_id": "0", "tool_name": "f",'
            ' "parameters": {"a": "b"}}\n]<|END_ACTION|>',
        ),
        ("command_r", 'Action:```json\n[{"tool_name": "f", "parameters": {"a": "b"}}]```'),
        (
            "deepseek_v32",
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="a" '
            'string="true">b</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
        ),
        (
            "kimi_k3",
            '<|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|><|open|>argument key="a" '
            'type="string"<|sep|>b<|close|>argument<|sep|><|close|>call<|sep|>',
        ),
        ("functionary_v32", '>>>all\na>>>f\n{"a": "b"}'),
        (
            "ernie45",
            '<response>\n</response><tool_call>{"name": "f", "arguments": {"a": "b"}}</tool_call>',
        ),
        ("granite_20b", '<function_call> {"name": "f", "arguments": {"a": "b"}}'),
        (
            "step3",
            "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>"
            '<steptml:invoke name="f"><steptml:parameter name="a">b</steptml:parameter>'
            "</steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>",
        ),
        ("xlam", '[{"name": "f", "arguments": {"a": "b"}}]'),
        ("xlam", '```json\n[{"name": "f", "arguments": {"a": "b"}}]\n```'),
        ("xlam", '<tool_call>[{"name": "f", "arguments": {"a": "b"}}]</tool_call>'),
        ("xlam", '[TOOL_CALLS][{"name": "f", "arguments": {"a": "b"}}]'),
        (
            "apriel",
            "<thinking></thinking>"
            '<tool_calls>[{"name": "f", "arguments": {"a": "b"}}]</tool_calls>',
        ),
        ("firefunction", ' functools[{"name": "f", "arguments": {"a": "b"}}]'),
        ("functionary_v31", '<function=f>{"a": "b"}</function>'),
        ("granite3", '<|tool_call|>[{"name": "f", "arguments": {"a": "b"}}]'),
        ("internlm", '<|action_start|><|plugin|>\n{"name": "f", "parameters": {"a": "b"}}'),
        ("jamba", '<tool_calls>[{"name": "f", "arguments": {"a": "b"}}]</tool_calls>'),
        ("jamba", '<tool_calls>\n{"name": "f", "arguments": {"a": "b"}}\n</tool_calls>'),
        (
            "muse_glimmer",
            " to=self<|message|><|eom|><|start|>assistant to=f<|message|><atem:function_calls>\n"
            '<atem:invoke name="f">\n<atem:parameter name="a">b</atem:parameter>\n</atem:invoke>\n'
            "</atem:function_calls><|eot|>",
        ),
        ("nemotron_v2", '<TOOLCALL>[{"name": "f", "arguments": {"a": "b"}}]</TOOLCALL>'),
        ("phi4", '<|tool_call|>[{"name": "f", "arguments": {"a": "b"}}]<|/tool_call|>'),
        ("phi4", 'functools[{"name": "f", "arguments": {"a": "b"}}]'),
        (
            "seed_oss",
            "<seed:tool_call>\n<function=f>\n<parameter=a>b</parameter>\n</function>\n"
            "</seed:tool_call>",
        ),
        (
            "solar",
            '<|tool_calls|><|tool_call:begin|>x<|tool_call:name|>f<|tool_call:args|>{"a": "b"}'
            "<|tool_call:end|><|calls|>",
        ),
    ],
)
def test_dialects_that_no_peer_has_rows_for(name: str, reply: str) -> None:
    assert calls(name, reply) == [("f", {"a": "b"}, None)]
    text = joined(whole(scan.load(PARSERS, name, "PARSER")(), [reply]))
    assert [part[1].strip("a\n ") for part in text if isinstance(part, tuple)] in ([], [""])


@pytest.mark.parametrize(
    ("name", "reply", "want"),
    [
        ("qwen3_coder", "<tool_call><function=f><parameter=b>5", {"b": 5}),
        ("qwen3_coder", "<function=f>\n<parameter=a>\n5\n</parameter", {"a": "5\n</parameter"}),
        ("glm", "<tool_call>f<arg_key>a</arg_key><arg_value>1", {"a": "1"}),
        ("lfm2", "<|tool_call_start|>[f(a='x", '{"a": "x'),
        ("kimi_k2", '<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a', '{"a'),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"a": [1', '{"a": [1'),
    ],
)
def test_a_call_cut_off_is_kept_with_an_error(name: str, reply: str, want: Any) -> None:
    assert calls(name, reply, tools=TOOLS) == [("f", want, "the call was cut off")]


@pytest.mark.parametrize(
    "value_text", ["a </function> b", "<parameter>", "if a < b:\n\tc()", "</parameter> in a text"]
)
def test_tags_within_a_value_are_the_values(value_text: str) -> None:
    reply = f"<tool_call>\n<function=f>\n<parameter=a>\n{value_text}\n</parameter>\n</function>"
    assert calls("qwen3_coder", reply + "\n</tool_call>") == [("f", {"a": value_text}, None)]


@pytest.mark.parametrize("behind", ["", "\n", "<tool_call>g</tool_call>"])
def test_a_value_without_its_closing_tag_ends_with_the_call(behind: str) -> None:
    reply = f"<tool_call>f<arg_key>a</arg_key><arg_value>b</tool_call>{behind}"
    assert calls("glm", reply)[0] == ("f", {"a": "b"}, None)


@pytest.mark.parametrize("value_text", ["it's", "a 'b' c", 'say "x"', "print('<b>')\nprint('x')"])
def test_quotes_that_lfm2_does_not_escape(value_text: str) -> None:
    reply = f"<|tool_call_start|>[f(a='{value_text}', b=1), f(a='x')]<|tool_call_end|>"
    want = [("f", {"a": value_text, "b": 1}, None), ("f", {"a": "x"}, None)]
    assert calls("lfm2", reply) == want


@pytest.mark.parametrize(
    ("name", "reply", "want"),
    [
        # what no text may be is null or a boolean; what a tool doesn't know is text
        ("qwen3_coder", "<parameter=b>\nnull\n</parameter>", {"b": None}),
        ("qwen3_coder", "<parameter=a>\nnull\n</parameter>", {"a": "null"}),
        ("qwen3_coder", "<parameter=c>\n1\n</parameter>", {"c": True}),
        ("qwen3_coder", "<parameter=d>\nNone\n</parameter>", {"d": None}),
        ("qwen3_coder", "<parameter=z>\n5\n</parameter>", {"z": "5"}),
        ("qwen3_coder", '{"a": "b"}\n', {"a": "b"}),
    ],
)
def test_values_are_typed_by_the_schema(name: str, reply: str, want: Any) -> None:
    properties = {
        **TOOLS[0].parameters["properties"],
        "c": {"type": "boolean"},
        "d": {"type": ["string", "null"]},
    }
    tools = [ToolSpec("f", "", {"type": "object", "properties": properties})]
    reply = f"<tool_call>\n<function=f>\n{reply}\n</function>\n</tool_call>"
    assert calls(name, reply, tools=tools) == [("f", want, None)]


@pytest.mark.parametrize(
    ("name", "reply", "want"),
    [
        (
            "llama3_json",
            '<|python_tag|>brave_search.call(query="a")',
            ("brave_search", {"query": "a"}),
        ),
        (
            "llama3_json",
            "<|python_tag|>print('a')\nb<|eom_id|>",
            ("python", {"code": "print('a')\nb"}),
        ),
        ("functionary_v31", "<|python_tag|>print('a')\nb", ("python", {"code": "print('a')\nb"})),
        ("functionary_v32", ">>>python\nprint('a')\nb", ("python", {"code": "print('a')\nb"})),
        ("functionary_v32", '>>>python\n{"code": "a"}', ("python", {"code": "a"})),
    ],
)
def test_calls_of_built_in_tools(name: str, reply: str, want: tuple[str, Any]) -> None:
    assert calls(name, reply) == [(*want, None)]


def test_llama_calls_behind_words() -> None:
    reply = 'Here: {"name": "f", "parameters": {"a": 1}} So.'
    assert calls("llama3_json", reply, tools=TOOLS) == [("f", {"a": 1}, None)]
    for reply in ('Here: {"name": "g", "parameters": {}}', 'Here: {"name": "f"} {"name": "f"'):
        assert calls("llama3_json", reply, tools=TOOLS) == []


def test_arguments_come_as_they_are_written() -> None:
    parser = scan.load(PARSERS, "qwen3_coder", "PARSER")(tools=TOOLS)
    parser.feed("<tool_call>\n<function=f>\n<parameter=a>\n")
    assert [event.arguments for event in parser.feed("one\ntwo")] == ["one\\ntwo"]
    parser = scan.load(PARSERS, "lfm2", "PARSER")()
    parser.feed("<|tool_call_start|>[f(a='o")
    assert [event.arguments for event in parser.feed("one\ntwo")] == ["one\\ntwo"]

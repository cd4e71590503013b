"""Beside openai-harmony: tools told to the letter, replies read the same."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.dialects import cut
from tests.formats.test_harmony import FULL, needs_oracle, oracle

from palaver.core.messages import Part, Reasoning, Text, ToolCall, system, user
from palaver.core.tool import ToolSpec
from palaver.formats.harmony.format import HarmonyFormat
from palaver.formats.harmony.schema import typescript
from palaver.formats.parsers._base import whole
from palaver.models.reply import ReplyParts

ASKED = user("2 + 2?")
_ASKED = "<|start|>user<|message|>2 + 2?<|end|>"

_SCALARS = st.one_of(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "integer"},
            {"type": "boolean"},
            {"type": ["number", "string"]},
            {"type": "null"},
            {},
            {"type": "string", "enum": ["a", "b"]},
            {"type": "array"},
            {"type": "object"},
        ]
    )
)
_NOTES = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["What.", "Two\nlines", ""]),
        "title": st.just("TITLE"),
        "nullable": st.booleans(),
        "default": st.sampled_from(["x", 1, 1.5, True, None, {"k": [1]}, -2]),
        "examples": st.just(["e", 2]),
    },
)


def _noted(schema: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda a, b: {**a, **b}, schema, _NOTES)


def _nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    inner = _noted(inner)
    names = st.sampled_from(["a", "b c", "d"])
    return st.one_of(
        st.builds(lambda v: {"oneOf": v}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda v: {"type": "array", "items": v}, inner),
        st.builds(
            lambda p, r: {"type": "object", "properties": p, "required": r},
            st.dictionaries(names, inner, max_size=3),
            st.lists(names, max_size=2),
        ),
    )


SCHEMAS = _noted(st.recursive(_SCALARS, _nested, max_leaves=6))


@needs_oracle
@settings(max_examples=5_000 if FULL else 200, deadline=None)
@given(st.dictionaries(st.sampled_from(["p", "q"]), SCHEMAS, min_size=1), st.booleans())
def test_tools_are_told_as_upstream_tells_them(
    properties: dict[str, Any], instructed: bool
) -> None:
    oracle()
    import openai_harmony as lib

    parameters = {"type": "object", "properties": properties, "description": "All."}
    content = lib.DeveloperContent.new().with_function_tools(
        [lib.ToolDescription.new("f", "Does\r\nit.", parameters=parameters)]
    )
    if instructed:
        content = content.with_instructions("Be brief.")
    message = lib.Message.from_role_and_content(lib.Role.DEVELOPER, content)
    want = oracle().render(message)
    ours = HarmonyFormat().render(
        [system("Be brief." if instructed else ""), ASKED],
        (ToolSpec("f", "Does\r\nit.", parameters),),
        reply=False,
    )
    text = ours.text[ours.text.index("<|start|>developer") : -len(_ASKED)]
    assert text == oracle().decode(want)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "oneOf",
                    "anyOf",
                    "items",
                    "required",
                    "enum",
                    "default",
                    "title",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=5_000 if FULL else 200, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "properties", "required", "oneOf"]), JSON))
def test_any_schema_is_told(parameters: dict[str, Any]) -> None:
    """Schemas come from servers of others: whatever is in them, the conversation goes on."""
    tool = ToolSpec("f", "", parameters)
    prompt = HarmonyFormat().render([ASKED], (tool,), reply=True).text
    assert "type f = (" in prompt
    parser = HarmonyFormat().parser(prompt, (tool,))
    assert parser.feed("<|channel|>commentary to=f<|message|>x<|call|>")


# -- replies ---------------------------------------------------------------------------------------

_HEADERS = st.sampled_from(
    [
        "<|channel|>analysis",
        "<|channel|>final",
        "<|channel|>commentary",
        " to=functions.f<|channel|>commentary <|constrain|>json",
        "<|channel|>commentary to=functions.f json",
        "<|channel|>commentary to=functions.f<|constrain|>json",
        " to=browser.open<|channel|>analysis code",
    ]
)
_SAID = st.text(st.sampled_from('ab \n{}"<|>é🙂'), max_size=12)


@needs_oracle
@settings(max_examples=1_000 if FULL else 100, deadline=None)
@given(st.lists(st.tuples(_HEADERS, _SAID), min_size=1, max_size=5), st.randoms())
def test_replies_are_read_as_upstream_reads_them(
    messages: list[tuple[str, str]], chance: random.Random
) -> None:
    oracle()
    import openai_harmony as lib

    reply = "<|start|>assistant".join(
        f"{header}<|message|>{text}{'<|call|>' if 'to=' in header else '<|end|>'}"
        for header, text in messages
    )
    ids = oracle().encode(reply, allowed_special="all")
    theirs = oracle().parse_messages_from_completion_tokens(ids, lib.Role.ASSISTANT)
    want: list[Part] = []
    for message in theirs:
        said = message.content[0].text
        if message.recipient:
            name = message.recipient.removeprefix("functions.")
            want.append(ToolCall("", name, said or "{}"))
        elif said:
            want.append(Reasoning(said) if message.channel == "analysis" else Text(said))
    ours = ReplyParts()
    ours.add(whole(HarmonyFormat().parser(""), cut(chance, reply)))
    got = [
        ToolCall("", part.name, part.arguments) if isinstance(part, ToolCall) else part
        for part in ours.message("end").parts
    ]
    assert got == want


def test_a_union_is_told() -> None:
    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert typescript(nullable) == "string | null"

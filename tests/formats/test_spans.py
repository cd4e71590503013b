"""The range of the prompt that each message takes, and the parser that a prompt gets."""

from __future__ import annotations

import string
from collections.abc import Sequence

import pytest
from tests.formats.talks import CALLS, CONTROL, SHARED, TALK, TEMPLATES, WEATHER, said

from palaver.core.errors import UserError
from palaver.core.messages import Message, Reasoning, Text, assistant, system, user
from palaver.core.tool import ToolSpec
from palaver.formats._spans import spans
from palaver.formats._tokens import ControlTokens
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.parsers.plain import PlainParser
from palaver.formats.parsers.think import ThinkParser
from palaver.formats.template import TemplateFormat


def make(name: str) -> TemplateFormat:
    return TemplateFormat(TEMPLATES[name], "<s>", "</s>", CONTROL[name])


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("messages", [TALK, CALLS], ids=["talk", "calls"])
def test_spans_cover_the_text_in_order(name: str, messages: tuple[Message, ...]) -> None:
    made = make(name)
    text = made.render(messages, [WEATHER], reply=False).text
    spans = made.spans(messages, [WEATHER])
    assert len(spans) == len(messages)
    assert "".join(text[a:b] for a, b in spans) == text


def test_a_span_has_header_content_and_closing() -> None:
    made = make("hermes")
    text = made.render(TALK, reply=False).text
    assert [text[a:b] for a, b in made.spans(TALK)] == [
        "<|im_start|>system\nBe kind.<|im_end|>\n",
        "<|im_start|>user\nHello there.<|im_end|>\n",
        "<|im_start|>assistant\nHello!<|im_end|>\n",
        "<|im_start|>user\n  What is 1 < 2?\n<|im_end|>\n",
    ]


def test_a_span_is_found_where_later_messages_change_an_earlier_one() -> None:
    made = make("hermes")  # drops the reasoning of all but the last message
    talk = [user("a"), said(Reasoning("long thoughts"), Text("b")), user("c"), assistant("d")]
    text = made.render(talk, reply=False).text
    assert "long" not in text
    assert [text[a:b] for a, b in made.spans(talk)] == [
        "<|im_start|>user\na<|im_end|>\n",
        "<|im_start|>assistant\nb<|im_end|>\n",
        "<|im_start|>user\nc<|im_end|>\n",
        "<|im_start|>assistant\nd<|im_end|>\n",
    ]


def test_longer_tokens_are_found_before_the_shorter_ones_within_them() -> None:
    tokens = ControlTokens([*string.ascii_letters, *(letter + "." for letter in "abcdefgh")])
    assert list(tokens.find("a.b.!cd")) == [(0, 2), (0, 1), (2, 4), (2, 3), (5, 6), (6, 7)]
    text = "a.b.c.d.e.f.g.h."
    assert list(tokens.find(text)) == [(at, at + n) for at in range(0, 16, 2) for n in (2, 1)]


def test_a_folded_system_message_has_its_own_span() -> None:
    made = make("composed")
    text = made.render(TALK, reply=False).text
    spans = [text[a:b] for a, b in made.spans(TALK)]
    assert spans[0] == "<s><|user|>\nBe kind."
    assert spans[1] == "\n\nHello there.<|end|>\n"


def test_no_messages_no_spans() -> None:
    assert make("composed").spans([]) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/cases/templates")
def test_spans_of_peers_templates_hold_their_messages() -> None:
    talk = (system("SYS-1"), user("USE-2"), assistant("ANS-3"), user("USE-4"), assistant("ANS-5"))
    for path in sorted(SHARED.glob("*.jinja")):
        made = TemplateFormat(path.read_text("utf-8"), "<s>", "</s>", {"<s>", "</s>"})
        try:
            text = made.render(talk, reply=False).text
        except UserError:
            continue
        spans = made.spans(talk)
        assert "".join(text[a:b] for a, b in spans) == text, path.name
        own = [text[a:b] for a, b in spans]
        held = sum(m.text in part for m, part in zip(talk, own, strict=True) if m.text in text)
        assert held == sum(m.text in text for m in talk), (path.name, own)


@pytest.mark.parametrize("name", ["hermes", "composed"])
def test_a_long_conversation_is_rendered_a_few_times_only(name: str) -> None:
    made = make(name)
    call = said(*CALLS[2].parts[1:])  # without the reasoning, which one of them drops later
    talk = [
        message
        for n in range(40)
        for message in (user(f"q {n} ok"), call, CALLS[3], assistant(f"a {n}"))
    ]
    text = made.render(talk, reply=False).text
    want: list[tuple[int, int]] = []
    for count in range(1, len(talk) + 1):  # slow, and right for a template that changes nothing
        part = made.render(talk[:count], reply=False).text
        assert text.startswith(part)
        want.append((want[-1][1] if want else 0, len(part)))
    assert made.spans(talk) == want
    writes = []

    def write(some: Sequence[Message]) -> str:
        writes.append(len(some))
        return made.render(some, reply=False).text

    assert spans(talk, write, ControlTokens(CONTROL[name])) == want
    assert len(writes) < 12


@pytest.mark.parametrize(
    ("text", "prompt", "kind", "first"),
    [
        ("<tool_call> {{ tools }}", "x", HermesParser, "text"),
        ("<tool_call> {{ tools }}", "x<think>\n", HermesParser, "reasoning"),
        ("<think>{{ tools }}", "x", ThinkParser, "text"),
        ("{{ tools }}", "x<think>\n\n", ThinkParser, "reasoning"),
        ("{{ tools }}", "x", ThinkParser, "text"),
        ("{{ messages }}", "x", ThinkParser, "text"),
    ],
)
def test_the_parser_is_the_templates(text: str, prompt: str, kind: type, first: str) -> None:
    parser = TemplateFormat(text).parser(prompt)
    assert type(parser) is kind
    told = TemplateFormat(text).parser(prompt, [ToolSpec("f", "", {})])
    assert type(told) is (PlainParser if kind is ThinkParser else kind)
    (event,) = [*parser.feed("hello"), *parser.finish()]
    assert type(event).__struct_config__.tag == first
    assert event.text == "hello"

"""Templates for models that bring none, and how one is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.talks import TALK

from palaver.core.messages import assistant, system, user
from palaver.formats.builtin import BUILT_IN, choose
from palaver.formats.template import TemplateFormat

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("built_in", BUILT_IN, ids=lambda b: b.name)
def test_golden_prompt(built_in) -> None:
    made = TemplateFormat(built_in.template, "<s>", "</s>", built_in.tokens)
    text = made.render(TALK, reply=True).text
    assert text == (GOLDEN / f"builtin-{built_in.name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("built_in", [b for b in BUILT_IN if b.tokens], ids=lambda b: b.name)
def test_telling_tokens_choose(built_in) -> None:
    made = choose({"general.name": "Vicuna"}, "<s>", "</s>", {*built_in.tokens, "<unk>"})
    assert made.name == built_in.name
    assert f"built-in {built_in.name}" in made.source
    assert built_in.tokens[0] in made.source


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("Vicuna 7B v1.5", "vicuna"),
        ("TinyLlama 1.1B Chat", "zephyr"),
        ("Zephyr 7B Beta", "zephyr"),
        ("Llama 2 7B Chat", "llama2"),
        ("Mistral 7B Instruct v0.1", "llama2"),
        ("Starling LM", "openchat"),
        ("Alpaca", "alpaca"),
        ("something", "plain"),
    ],
)
def test_names_choose_where_no_token_tells(name: str, chosen: str) -> None:
    made = choose({"general.name": name, "general.architecture": "llama"}, "<s>", "</s>", {"<s>"})
    assert made.name == chosen
    assert "no template" in made.source
    assert (name in made.source) == (chosen != "plain")


def test_nothing_known_is_plain() -> None:
    made = choose({})
    assert made.render([system("S"), user("a"), assistant("b"), user("c")], reply=True).text == (
        "S\n\nUser: a\n\nAssistant: b\n\nUser: c\n\nAssistant:"
    )

"""Inline Markdown: which characters get which style, beside markdown-it's opinion."""

from __future__ import annotations

import random

import pytest
from markdown_it import MarkdownIt

from palaver.terminal.markdown.inline import LIMIT, parse
from palaver.terminal.style import BOLD, CODE, ITALIC, LINK, STRIKE, URL

REFERENCE = MarkdownIt("commonmark").enable("strikethrough")
STYLES = {"strong": BOLD, "em": ITALIC, "s": STRIKE}


def reference(text):
    """Return the characters of `text` with their styles, as markdown-it has them."""
    found, open_ = [], []
    for token in REFERENCE.parseInline(text)[0].children:
        if token.type.endswith("_open"):
            open_.append(STYLES[token.type.removesuffix("_open")])
        elif token.type.endswith("_close"):
            open_.pop()
        else:
            style = sum(set(open_)) | (CODE if token.type == "code_inline" else 0)
            content = "\n" if token.type in ("softbreak", "hardbreak") else token.content
            found += [(char, style) for char in content]
    return found


def ours(text):
    return [(char, style) for run, style in parse(text)[0] for char in run]


@pytest.mark.parametrize(
    "text",
    [
        *("*a*", "**a**", "***a***", "**a *b* c**", "*a **b** c*", "_a_ __b__", "~~a~~ b"),
        *("a_b_c", "a*b*c", "2 * 3 * 4", "** a **", "*a", "a*", "**a*", "*a**", "\\*a\\*", "\\a"),
        *("`a`", "`` a`b ``", "`a", "` a `", "`*a*`", "*`a*`", "**a\nb**", "a\\\nb"),
        *("(**a**).", "**a**b", "“*a*”", "日本**語**です", "**(a)**b", "*a*!", "~a~", "foo~~bar"),
    ],
)
def test_agrees_with_markdown_it(text):
    assert ours(text) == reference(text)


@pytest.mark.parametrize("alphabet", ["a |a| |*|**|*|.", "a| |*|**|_|__|`|``|\\|.|~~"])
def test_random_markers(alphabet):
    """All but 2 %: a run that closed something opens nothing here, see `_Parse._emphasis`."""
    source, different = random.Random(7), 0
    for _ in range(1500):
        text = "a" + "".join(source.choices(alphabet.split("|"), k=source.randint(2, 14))) + "a"
        different += ours(text) != reference(text)
    assert different <= 30


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("[a](u)", [("a", LINK), (" ", 0), ("(u)", URL)]),
        ("[a *b*](<u v>)", [("a ", LINK), ("b", LINK | ITALIC), (" ", 0), ("(u v)", URL)]),
        ('[a](u "t")', [("a", LINK), (" ", 0), ('(u "t")', URL)]),
        ("[a](u(v)w)", [("a", LINK), (" ", 0), ("(u(v)w)", URL)]),
        ("[http://u](http://u)", [("http://u", LINK)]),
        ("[](u)", [("u", LINK)]),
        ("![alt](u)", [("alt", LINK), (" ", 0), ("(u)", URL)]),
        ("<http://u>", [("http://u", LINK)]),
        ("<me@example.org>", [("me@example.org", LINK)]),
        ("(https://u/a_b_c).", [("(", 0), ("https://u/a_b_c", LINK), (").", 0)]),
        ("**https://u**", [("https://u", LINK | BOLD)]),
        ("[a][b] [c] [d](e f", [(text, 0) for text in ("[", "a", "]", "[", "b", "]", " ", "[", "c")]
         + [(text, 0) for text in ("]", " ", "[", "d", "]", "(e f")]),
        ("a<br>b", [("a", 0), ("\n", 0), ("b", 0)]),
        ("&lt;&amp;&#65;&nope;", [("<", 0), ("&", 0), ("A", 0), ("&nope;", 0)]),
    ],
)  # fmt: skip
def test_runs(text, runs):
    assert parse(text)[0] == runs


@pytest.mark.parametrize("entity", ["&#27;", "&#x1b;", "&#13;", "&#8238;", "&zwj;", "&#xE0041;"])
def test_an_entity_is_no_way_round(entity):
    shown = "".join(text for text, _ in parse(f"a{entity}[31m")[0])
    assert shown.isascii()
    assert shown.isprintable()


def test_what_is_open_is_guessed():
    assert parse("a **b *c", guess=True)[0] == [("a ", 0), ("b ", BOLD), ("c", BOLD | ITALIC)]
    assert parse("a `b", guess=True)[0] == [("a ", 0), ("b", CODE)]


@pytest.mark.parametrize("marker", ["**", "`"])
def test_the_limit(marker):
    short, long = "a " * (LIMIT // 2 - 2) + "a", "a " * (LIMIT // 2 + 2) + "a"
    assert len(parse(f"{marker}{short}{marker}")[0]) == 1
    assert len(parse(f"{marker}{long}{marker}")[0]) > 1

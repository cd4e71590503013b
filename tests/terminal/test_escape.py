"""Untrusted text on a terminal: seen as it is, or spelled out."""

from __future__ import annotations

import json
import os
import random
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.terminal.screens import listen, rows
from wcwidth import wcwidth

from palaver.terminal.escape import Escaper, visible

NASTY = [
    json.loads(line)
    for line in (Path(__file__).parent / "nasty_terminal.jsonl").read_text("utf-8").splitlines()
]
TRIALS = 100_000 if os.environ.get("PALAVER_FULL") == "1" else 5_000
_SPELLED = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])")


def unescape(text: str) -> str:
    short = {"n": "\n", "r": "\r", "t": "\t"}
    return _SPELLED.sub(lambda m: short.get(m[1]) or chr(int(m[1][1:], 16)), text)


@pytest.mark.parametrize("case", NASTY, ids=lambda case: case["id"])
def test_case(case):
    shown = visible(case["text"])
    for raw in case["must_not_contain_raw"]:
        assert raw not in shown
    for text in case.get("must_contain", ()):
        assert text in shown
    assert unescape(shown) == case["text"].replace("\r\n", "\n")


@pytest.mark.parametrize(
    "text",
    [
        "plain, with “quotes” — dashes… and ¡Ñandú!\n\ttabbed\n",
        "👨‍👩‍👧‍👦 👩🏽‍🚀 👩‍❤️‍💋‍👨 🏳️‍🌈 🏴‍☠️ ❤️ ☺︎ 1️⃣ #️⃣ 🇩🇪 👍🏽",
        "می‌خواهم نامه‌ای",  # Persian, ZWNJ
        "क्‍ष क्‌ष नमस्ते ක්‍රි শ্রী ത്‍",  # Indic, ZWJ and ZWNJ, one at a word's end
        "שָׁלוֹם עֲלֵיכֶם السَّلَامُ عَلَيْكُمْ ۝",
        "བཀྲ་ཤིས་བདེ་ལེགས ไทย ភាសាខ្មែរ မြန်မာ 한글 " + unicodedata.normalize("NFD", "한글 Việt"),
        "日本語、中文。 ｆｕｌｌ　width",
        "\U0001fae8 \U0002ebf0",  # an emoji and an ideograph newer than Python 3.11
    ],
)
def test_what_people_write_stays(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m\x9d", r"\x9b31m\x9d"),
        ("\x7f\x00\b\v\f", r"\x7f\x00\x08\x0b\x0c"),
        ("a\r\nb\rc\r", "a\nb\\rc\\r"),
        ("user\u202etxt.exe", r"user\u202etxt.exe"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("a\u200bb\u2060c\ufeffd\xade\u180ef", r"a\u200bb\u2060c\ufeffd\xade\u180ef"),
        ("pay\u200dpal", r"pay\u200dpal"),
        ("😀\u200d!", r"😀\u200d!"),
        ("😀\U000e0041\U000e007f", r"😀\U000e0041\U000e007f"),
        ("😀\ufe0f\ufe0f\ufe01\U000e0100", r"😀️\ufe0f\ufe01\U000e0100"),
        ("a\ufe0f 1\ufe0f", r"a\ufe0f 1\ufe0f"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\ud83d\ue000\uffff\U0010ffff\u0378", r"\ud83d\ue000\uffff\U0010ffff\u0378"),
        ("\u3164\u115f\uffa0\u034f", r"\u3164\u115f\uffa0\u034f"),
        ("\u0301a\n\u0301", "\\u0301a\n\\u0301"),
        ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + r"\u0301\u0301"),
        ("👩\u200d" * 7 + "👩", "👩\u200d" * 5 + r"👩\u200d" + "👩\u200d👩"),
    ],
)
def test_what_acts_or_hides_is_spelled_out(text, shown):
    assert visible(text) == shown


def test_on_one_line():
    assert visible("a\nb\tc\r\nd", newlines=False) == r"a\nb\tc\r\nd"


def test_every_code_point_alone():
    """A code point that is kept has a glyph's category and a width; no control is kept."""
    for char in map(chr, range(0x110000)):
        if visible(char, newlines=False) == char:
            category = unicodedata.category(char)
            assert category[0] in "LNPSZ" or category in ("Cf", "Cn"), hex(ord(char))
            assert wcwidth(char) > 0, hex(ord(char))
            assert category != "Cf" or wcwidth(char) == 1


PIECES = (
    *(chr(c) for c in (*range(0xA0), 0xAD)),
    *"abcABC019 .-;[]m/\\_#*你好ا‌بক्षयש",
    *"\u200b\u200c\u200d\u200e\u200f\u202a\u202d\u202e\u2066\u2069\u2028\ufeff\ufe0e\ufe0f\ufe01",
    *"\U000e0041\U000e0100\u0301\u0308\u20e3\u1161\u11a8😀👩❤🏽🇩\ud800\ue000",
    *("\x1b[2J", "\x1b]0;t\x07", "\x1b]52;c;eA==\x1b\\", "\x1b[?1049h", "\x1b(0", "\x1bPq\x1b\\"),
    *(
        "\x1b[9D\x1b[K",
        "\x9b1;1H",
        "\r\n",
        "\x1b[8m",
        "\x1b#8",
        "👨‍👩‍👧",
        "e\u0301\u0301\u0301\u0301\u0301",
    ),
)


def draw(random_source: random.Random) -> str:
    return "".join(random_source.choices(PIECES, k=random_source.randint(1, 24)))


def test_random_text_on_a_terminal():
    """Nothing but text, newlines and tabs reaches the terminal, and all of it can be seen."""
    source = random.Random(20261120)
    for _ in range(TRIALS):
        text = draw(source)
        shown = visible(text)
        screen, events = listen(shown, 400, 30)
        assert events == [], repr(text)
        expected = shown.expandtabs(8) if shown.isascii() else None
        lines = shown.split("\n")
        assert screen.cursor.y == len(lines) - 1, repr(text)
        if expected is not None:
            wanted = [line.rstrip() for line in expected.rstrip().split("\n")]
            assert rows(screen) == (wanted if wanted != [""] else [])
        if "\t" not in shown:
            assert screen.cursor.x == sum(wcwidth(c) for c in lines[-1])
            cells = [screen.buffer[y][x].data for y in range(len(lines)) for x in range(400)]
            seen = unicodedata.normalize("NFC", "".join(cells)).replace(" ", "")
            wanted = unicodedata.normalize("NFC", shown).replace(" ", "").replace("\n", "")
            assert seen == wanted, repr(text)
        if "\\" not in text:
            assert unescape(shown) == text.replace("\r\n", "\n")


@given(st.text(st.characters() | st.sampled_from("".join(PIECES))), st.data())
@settings(max_examples=400, deadline=None)
def test_cut_anywhere(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=len(text))))
    for newlines in (True, False):
        escaper = Escaper(newlines=newlines)
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        shown = "".join(escaper.feed(piece) for piece in pieces) + escaper.finish()
        assert shown == visible(text, newlines=newlines)


@given(st.text(st.sampled_from("a b👩❤\u200d\ufe0f🏽\u0301\r\n1\u20e3कब्\u200c")))
@settings(max_examples=400, deadline=None)
def test_cut_everywhere(text):
    escaper = Escaper()
    assert "".join(map(escaper.feed, text)) + escaper.finish() == visible(text)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_once_is_enough(text):
    shown = visible(text)
    assert visible(shown) == shown

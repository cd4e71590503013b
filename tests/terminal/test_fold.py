"""Text of the program's own on narrow terminals: broken between words, never in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.terminal import Terminal

from palaver.terminal import command, width
from palaver.terminal.fold import beginning, folded, folded_table


def test_the_last_column_goes_on_below_itself():
    assert folded_table("/undo [n]  Take back the newest turn.", 24) == (
        "/undo [n]  Take back the\n           newest turn."
    )
    assert folded_table("/undo [n]  Take back the newest turn.", 20) == (
        "/undo [n]\n    Take back the\n    newest turn."
    )
    assert folded_table("        a  b c d e", 12) == "        a\n    b c d e"
    assert folded_table("user 1            39", 12) == "user 1  39"
    assert (
        folded_table("*   12     now   4  My first chat", 20) == "*  12  now  4\n    My first chat"
    )


def test_prose_keeps_its_indent_and_a_long_word_stays_whole():
    path = "/a/path/that/is/longer/than/a/row.md"
    assert folded(f"written to {path} now", 20) == f"written to\n{path}\nnow"
    assert folded("One.  Two three four", 14) == "One.  Two\nthree four"
    assert folded("one two three\n\nfour", 9, "you> ", "     ") == (
        "you> one\n     two\n     three\n     \n     four"
    )


def test_wide_characters_are_counted():
    assert (
        folded_table("  1  日本語のとても長い題", 14) == "  1  日本語の\n     とても長\n     い題"
    )


@given(st.text("ab日 \n.", max_size=80), st.integers(4, 40))
def test_nothing_is_lost_and_no_row_is_too_long(text, columns):
    for rows in (folded(text, columns), folded_table(text, columns)):
        _all_there(rows, text, columns)


def _all_there(rows, text, columns):
    assert re.sub(r"\s", "", rows) == re.sub(r"\s", "", text)
    for row in rows.split("\n"):
        words = re.split(r" +", row.strip(" "))
        assert width.most(row) <= columns or len(words) == 1


@pytest.mark.parametrize(("columns", "flags"), [(80, ()), (33, ()), (20, ()), (20, ("--plain",))])
def test_help_breaks_no_word(tmp_path, columns, flags):
    with Terminal(tmp_path, *flags, columns=columns, lines=200) as terminal:
        terminal.wait("you>") if flags else terminal.ready()
        terminal.line("/help")
        terminal.wait("shows or")
        shown = " ".join(terminal.text().split())
        for name in command.names():
            assert command.find(name).help in shown
        terminal.line("/nonsense")
        terminal.wait(lambda: "no command /nonsense" in " ".join(terminal.text().split()))
        terminal.send("\x04")
        assert terminal.ended() == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\n two", "one two"),
        ("12345678", "12345678"),
        ("123456789", "1234567…"),
        ("日本語", "日本語"),
        ("日本語日本語", "日本語…"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_the_beginning_of_a_text_takes_one_row(text, shown):
    assert beginning(text, 8) == shown

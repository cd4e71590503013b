"""What a question and a result look like: whole, marked, and unable to look like anything else."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.front import Answer, Question
from palaver.core.events import (
    CallDelta,
    CallParsed,
    StateChanged,
    ToolFinished,
    ToolOutput,
    ToolStarted,
)
from palaver.core.messages import ToolCall, ToolResult
from palaver.core.tool import Preview
from palaver.terminal import consent, width
from palaver.terminal.toolview import result_rows
from palaver.terminal.view import AnswerView

CALL = ToolCall("1", "shell", "{}")
nasty = st.text(st.characters() | st.sampled_from("\x1b[]\r\n\t\u202e\u200b世😀 "), max_size=300)


def asked(text: str, **more: object) -> Question:
    return Question(CALL, Preview(text, "shell in /ws", ("a note",)), "it may", **more)


@given(nasty, st.integers(20, 120))
def test_every_row_of_what_will_run_is_marked_and_nothing_is_left_out(text, columns):
    rows = consent.put(asked(text), columns, color=False).split("\n")
    assert rows[0] == "shell in /ws"
    end = rows.index("  ! a note")
    assert " ".join(" ".join(rows[end + 1 :]).split()) == (
        "shell: may it run? it may "
        "y once, n no, n and a reason for the model; Ctrl-C stops the turn"
    )
    assert all(width.most(row) <= columns for row in rows[end:])
    body = rows[1:end]
    assert all(row.startswith("  | ") for row in body)
    assert all(width.most(row) <= max(columns, 12) for row in body)
    shown = "".join(row.removeprefix("  | ") for row in body)
    assert not any(unicodedata.category(c) == "Cc" for c in shown)
    for char in "\x1b\r\u202e\u200b":
        assert char not in shown
    assert sum(c.isalnum() for c in shown) >= sum(c.isalnum() for c in text)


def test_an_answer_holds_for_these_bytes_alone():
    one = asked("rm a")
    assert one.digest == asked("rm a").digest
    others = [
        asked("rm b"),
        Question(CALL, Preview("rm a", "shell in /ws", ()), "it may"),
        Question(CALL, Preview("rm a", "shell in /", ("a note",)), "it may"),
        Question(ToolCall("1", "shell", "{ }"), one.preview, "it may"),
        Question(ToolCall("1", "shel", "l{}"), one.preview, "it may"),
    ]
    assert one.digest not in {other.digest for other in others}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("y", Answer(allowed=True)),
        (" YES ", Answer(allowed=True)),
        ("s", Answer(allowed=True, by="session")),
        ("a", Answer(allowed=True, by="always")),
        ("n", Answer(allowed=False)),
        ("no, not that file", Answer(allowed=False, reason="not that file")),
        ("n use b", Answer(allowed=False, reason="use b")),
        ("y please", None),
        ("yes yes", None),
        ("all", None),
        ("", None),
        ("never", None),
        ("1", None),
    ],
)
def test_what_an_answer_means(line, answer):
    assert consent.read(line, asked("x", always="[[consent.rules]]\n")) == answer


def test_what_can_not_last_is_not_offered():
    assert consent.read("a", asked("x")) is None
    assert consent.read("s", asked("x")) is None
    assert "always" not in consent.put(asked("x"), 80, color=False)
    lasting = consent.put(asked("x", always='[[consent.rules]]\nthen = "allow"\n'), 80, color=False)
    assert 'always would write the rule: then = "allow"' in lasting


def test_a_call_under_way_and_a_tool_that_prints_are_seen():
    view = AnswerView(lambda: 60, color=False)
    view.begin("reading")
    view.feed(
        [StateChanged("thinking"), CallDelta(0, "write_file", ""), CallDelta(0, None, "{" * 9)]
    )
    view.paint()
    assert view.tail() == ("writing a call of write_file: 9 characters",)
    view.feed([CallParsed(0, CALL), ToolStarted(CALL)])
    assert view.paint() == ["[call] shell({})"]
    assert view.tail()[0].startswith("running shell ...")
    view.feed([ToolOutput("1", "a\x1b[2Jb\n"), ToolFinished(ToolResult("1", "shell", "a\x1b[2Jb"))])
    assert view.paint() == [r"  a\x1b[2Jb", "[result] shell: 1 line"]
    assert view.tail() == ()


def test_a_long_result_is_shown_by_its_beginning():
    text = "\n".join(f"line {n}" for n in range(50))
    rows = result_rows(ToolFinished(ToolResult("1", "f", text), 2.0), 40, color=False)
    assert rows[0] == "[result] f: 50 lines in 2.0 s"
    assert rows[1:3] == ["  line 0", "  line 1"]
    assert rows[-1] == "  ... 42 more lines"
    changed = ToolResult("1", "f", "x", changed="a.txt, b.txt, c.txt and 40 more")
    narrow = result_rows(ToolFinished(changed), 20, color=False)
    assert all(width.most(row) < 20 for row in narrow)
    assert "a.txt," in " ".join(narrow).split()
    wide = result_rows(ToolFinished(ToolResult("1", "f", "世" * 500)), 40, color=False)
    assert all(width.most(row) <= 40 for row in wide)

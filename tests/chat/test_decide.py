"""What the log asks for next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.decide import AwaitUser, Generate, next_step
from palaver.core.log import Compaction, Entry, Notice, Row
from palaver.core.messages import Message, Text, ToolResult, assistant, system, user

tool = Message("tool", (ToolResult("1", "f", "text"),))
entries = st.one_of(
    st.sampled_from([user("hi"), system("be"), system(""), tool]),
    st.sampled_from([Notice("note", "n"), Notice("info", "i"), Compaction(2, "trim")]),
    st.sampled_from(["end", "length", "cancelled", "error", None]).map(
        lambda stop: Message("assistant", (Text("a"),), stop)
    ),
)


def rows(found: list[Entry]) -> list[Row]:
    return [Row(i, 1, i - 1 if i else None, 0.0, entry) for i, entry in enumerate(found)]


@given(st.lists(entries, max_size=12))
def test_every_log_has_one_answer_and_asking_changes_nothing(found):
    log = rows(found)
    step = next_step(log)
    assert step == next_step(log)
    said = [e for e in found if isinstance(e, Message) and e.role != "system"]
    if not said:
        assert step == AwaitUser("empty")
    elif said[-1].role in ("user", "tool"):
        assert step == Generate()
    else:
        assert step == AwaitUser("answered" if said[-1].stop in ("end", None) else "cut off")


@given(st.lists(entries, max_size=12), st.lists(entries, max_size=4))
def test_notes_and_system_prompts_change_nothing(found, more):
    quiet = [e for e in more if not isinstance(e, Message) or e.role == "system"]
    assert next_step(rows([*found, *quiet])) == next_step(rows(found))


@pytest.mark.parametrize(
    ("log", "step"),
    [
        ([], AwaitUser("empty")),
        ([system("be")], AwaitUser("empty")),
        ([user("hi")], Generate()),
        ([user("hi"), assistant("ho")], AwaitUser("answered")),
        ([user("hi"), assistant("ho", "cancelled")], AwaitUser("cut off")),
        ([user("hi"), assistant("ho"), Notice("note", "x")], AwaitUser("answered")),
        ([user("hi"), assistant("ho"), user("again"), Compaction(2, "t")], Generate()),
    ],
)
def test_examples(log, step):
    assert next_step(rows(log)) == step

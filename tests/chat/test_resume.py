"""Turns with tools over generated logs, and killed anywhere."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.bench import Bench, Killed, Paper, Script, calls, said

from palaver.chat.calls import open_calls
from palaver.chat.decide import AwaitUser, Generate, Rules, next_step
from palaver.chat.front import Answer
from palaver.core.log import Approval, CallStarted, Row
from palaver.core.messages import Message, ToolCall, ToolResult, user
from palaver.core.tool import Allow

one_call = st.one_of(
    st.tuples(st.sampled_from(["look", "change", "nothing"]), st.sampled_from([1, 2, 13, 14, 50])),
    st.just(ToolCall("call_x", "look", '{"n"', "cut off")),
)
scripts = st.lists(st.lists(one_call, min_size=1, max_size=4), min_size=1, max_size=3)


def unique(answer: list[Any]) -> Message:
    made = calls(*answer)
    parts = [ToolCall(f"call_{i}", p.name, p.arguments, p.error) for i, p in enumerate(made.parts)]
    return Message("assistant", tuple(parts), "end")


@settings(deadline=None, max_examples=150)
@given(scripts, st.integers(0, 25), st.booleans(), st.booleans())
def test_killed_anywhere_it_resumes_and_runs_nothing_twice(script, dies_at, asks, again):
    """The answer to "run it again?" is `again`; with False nothing at all may run twice."""
    log = Paper(user("go"))
    answers = [unique(answer) for answer in script]
    first = Bench(log, asks=asks)
    log.left = dies_at
    try:
        first.turn(Script(*answers))
        died = False
    except Killed:
        died = True
    log.left = None
    had = list(log.results())
    under_way = sum(call.started and call.approval is None for call in open_calls(log.rows))
    given_so_far = sum(bool(m.calls) for m in log.entries(Message))
    second = Bench(log, asks=asks, answer=Answer(allowed=again))
    assert second.turn(Script(*answers[given_so_far:])) == AwaitUser("answered")
    assert log.results()[: len(had)] == had
    assert sum(q.interrupted for q in second.asked) == under_way
    for message in log.entries(Message):
        assert len({call.id for call in message.calls}) == len(message.calls)
    made = sum(len(m.calls) for m in log.entries(Message))
    assert len(log.results()) == made
    started = len(log.entries(CallStarted))
    ran = sum(len(b.look.ran) + len(b.change.ran) for b in (first, second))
    assert ran <= started
    if not again:
        assert started <= made
    assert died or not had or second.asked == []


logs = st.lists(
    st.one_of(
        st.sampled_from([user("hi"), said("ho"), calls(("look", 1), ("change", 2))]),
        st.builds(Approval, st.sampled_from(["call_1", "call_2"]), st.booleans(), st.just("once")),
        st.builds(CallStarted, st.sampled_from(["call_1", "call_2", "odd"]), st.just("look")),
        st.builds(
            lambda i, stop: Message("tool", (ToolResult(i, "look", "r"),), stop),
            st.sampled_from(["call_1", "call_2", "odd"]),
            st.sampled_from([None, "cancelled"]),
        ),
    ),
    max_size=12,
)


@given(logs)
def test_every_log_has_one_next_step(entries):
    rows = [Row(i, 1, None, 0.0, entry) for i, entry in enumerate(entries)]
    rules = Rules(lambda _call: Allow(), frozenset({"look"}))
    assert next_step(rows, rules) == next_step(rows, rules)
    if isinstance(next_step(rows, rules), Generate) and not any(
        isinstance(e, Message) and e.role == "user" for e in entries[-1:]
    ):
        assert not open_calls(rows)

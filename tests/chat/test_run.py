"""The loop over generated event streams: written before shown, stored once, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.chat import run
from palaver.chat.decide import AwaitUser
from palaver.chat.front import Front
from palaver.chat.work import Workshop
from palaver.core.errors import EngineError, StoreError, UserError
from palaver.core.events import (
    CallDelta,
    CallParsed,
    Event,
    MessageDone,
    Prefill,
    ReasoningDelta,
    StateChanged,
    TextDelta,
)
from palaver.core.generation import Generation, Sampling
from palaver.core.log import Entry, Row
from palaver.core.messages import Message, Reasoning, Text, ToolCall, user
from palaver.tools.toolbox import Box

SHOP = Workshop(Box(()), Path("/"))
Item = Event | Exception | float  # a float is a pause in seconds


@pytest.fixture(autouse=True, scope="module")
def fast_frames():
    usual, run.FRAME = run.FRAME, 0.001
    yield
    run.FRAME = usual


class Paper:
    """A log in memory that notes the order of what happens, the screen's part too."""

    def __init__(self, *entries: Entry, fail_at: int | None = None) -> None:
        self.rows = [Row(i, 1, None, 0.0, entry) for i, entry in enumerate(entries)]
        self.done: list[tuple[str, object]] = []
        self._fail_at = fail_at

    async def path(self) -> list[Row]:
        return list(self.rows)

    async def append(self, entry: Entry, generation: Generation | None = None) -> Row:
        await asyncio.sleep(0)
        self.done.append(("append", entry))
        self.rows.append(Row(len(self.rows), 1, None, 0.0, entry, generation))
        return self.rows[-1]

    async def journal(self, kind: str, text: str) -> None:
        await asyncio.sleep(0)
        if self._fail_at is not None and len(self.done) >= self._fail_at:
            raise StoreError("the disk is full")
        self.done.append(("journal", (kind, text)))

    def show(self, events: Sequence[Event]) -> None:
        shown = [event for event in events if not isinstance(event, StateChanged)]
        if shown:
            self.done.append(("show", shown))


class Script:
    """A model that says what it is told to; notes how it was ended."""

    name = "script"

    def __init__(self, *answers: list[Item]) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.closed = 0

    async def respond(self, rows, tools, sampling) -> AsyncIterator[Event]:
        self.asked += 1
        try:
            for item in self._answers.pop(0):
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, float):
                    await asyncio.sleep(item)
                else:
                    yield item
        finally:
            self.closed += 1


def done(*parts, stop="end") -> MessageDone:
    return MessageDone(Message("assistant", parts, stop), Generation("e", "m"))


words = st.text("abc é😀\n", min_size=1, max_size=4)
deltas = st.one_of(
    words.map(TextDelta),
    words.map(ReasoningDelta),
    st.builds(CallDelta, st.just(0), st.none() | words, words),
    st.builds(CallParsed, st.just(0), st.just(ToolCall("1", "f", "{}"))),
)
pauses = st.sampled_from([0.0, 0.0, 0.0, 0.004])
streams = st.lists(deltas | pauses, max_size=25)


def turn(log: Paper, model: Script) -> AwaitUser:
    return asyncio.run(run.run_turn(log, model, SHOP, Sampling(), Front(log.show)))


def check_order(log: Paper) -> None:
    """Every delta that is shown was journalled before; what is journalled is what was said."""
    journalled = shown = ""
    for what, value in log.done:
        if what == "journal":
            journalled += value[1]
        elif what == "show":
            for event in value:
                if isinstance(event, TextDelta | ReasoningDelta | CallDelta):
                    shown += run._journalled(event)
            assert journalled.startswith(shown)
    assert journalled == shown


@settings(deadline=None, max_examples=60)
@given(streams, st.integers(0, 3))
def test_written_before_shown_and_stored_once(items, prefills):
    says = [*(Prefill(i, 3, 0) for i in range(prefills)), *items, done(Text("whole"))]
    log, model = Paper(user("hi")), Script(says)
    assert turn(log, model) == AwaitUser("answered")
    check_order(log)
    appended = [i for i, (what, _) in enumerate(log.done) if what == "append"]
    assert len(appended) == 1
    shown = [e for what, value in log.done if what == "show" for e in value]
    assert shown == [item for item in says if not isinstance(item, float)]
    assert appended[0] == max(i for i, (what, _) in enumerate(log.done) if what == "show") - 1
    assert log.rows[-1].generation == Generation("e", "m")
    assert (model.asked, model.closed) == (1, 1)


@settings(deadline=None, max_examples=40)
@given(streams)
def test_an_error_after_a_partial_answer_keeps_it(items):
    partial = done(Text("part"), stop="error")
    log, model = Paper(user("hi")), Script([*items, partial, EngineError("died", died=True)])
    with pytest.raises(EngineError, match="died"):
        turn(log, model)
    check_order(log)
    assert log.rows[-1].entry == partial.message
    assert [what for what, _ in log.done].count("append") == 1


def test_an_error_before_anything_stores_nothing():
    log, model = Paper(user("hi")), Script([UserError("it does not fit")])
    with pytest.raises(UserError):
        turn(log, model)
    assert log.done == []


@pytest.mark.parametrize("stop", ["cancelled", "error", "length"])
def test_an_answer_without_a_word_is_not_stored_nor_asked_for_again(stop):
    log = Paper(user("hi"))
    model = Script([Prefill(1, 2, 0), done(stop=stop)], [done(Text("second"))])
    assert turn(log, model) == AwaitUser("unanswered")
    assert model.asked == 1
    assert [row.entry for row in log.rows] == [user("hi")]


def test_an_empty_answer_that_the_model_ended_is_an_answer():
    log, model = Paper(user("hi")), Script([done()])
    assert turn(log, model) == AwaitUser("answered")
    assert log.rows[-1].entry == Message("assistant", (), "end")


def test_nothing_to_do_asks_no_model():
    model = Script()
    assert turn(Paper(), model) == AwaitUser("empty")
    assert model.asked == 0


@pytest.mark.parametrize("fail_at", [0, 2, 5])
def test_a_store_that_fails_ends_the_model_and_shows_nothing_unwritten(fail_at):
    items: list[Item] = [x for i in range(40) for x in (TextDelta(f"{i} "), 0.002)]
    log, model = Paper(user("hi"), fail_at=fail_at), Script([*items, done(Text("x"))])
    with pytest.raises(StoreError):
        turn(log, model)
    check_order(log)
    assert model.closed == 1
    assert all(what != "append" for what, _ in log.done)


def test_cancelling_the_turn_ends_the_model():
    log, model = Paper(user("hi")), Script([TextDelta("a"), 30.0, done(Text("a"))])

    async def cancelled() -> None:
        task = asyncio.create_task(run.run_turn(log, model, SHOP, Sampling(), Front(log.show)))
        await asyncio.sleep(0.1)
        assert ("show", [TextDelta("a")]) in log.done
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert model.closed == 1
    check_order(log)


def test_a_slow_screen_does_not_hold_up_the_model(monkeypatch):
    monkeypatch.setattr(run, "FRAME", 0.05)
    log, model = Paper(user("hi")), Script([*map(TextDelta, "abcdefgh"), done(Text("abcdefgh"))])
    turn(log, model)
    frames = [value for what, value in log.done if what == "show"]
    assert len(frames) <= 2
    assert [value for what, value in log.done if what == "journal"] == [("text", "abcdefgh")]


def test_kinds_are_journalled_apart_and_in_order():
    thought = [ReasoningDelta("r1"), ReasoningDelta("r2")]
    call = [CallDelta(0, "f", "{"), CallDelta(0, None, "}")]
    says = [*thought, TextDelta("t"), *call, TextDelta("u"), done(Reasoning("r1r2"), Text("tu"))]
    log = Paper(user("hi"))
    turn(log, Script(says))
    journal = [value for what, value in log.done if what == "journal"]
    assert journal == [("reasoning", "r1r2"), ("text", "t"), ("call", "\nf {}"), ("text", "u")]

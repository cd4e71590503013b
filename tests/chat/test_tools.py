"""Turns with tools: each call one result, in every case, and nothing run twice after a kill."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.chat import run
from palaver.chat.calls import open_calls
from palaver.chat.decide import AwaitUser, Generate, Rules, next_step
from palaver.chat.front import NOBODY, Answer, Front, Question
from palaver.chat.work import Workshop
from palaver.core.events import Event, MessageDone, StateChanged, ToolFinished, ToolStarted
from palaver.core.generation import Generation, Sampling
from palaver.core.log import Approval, CallStarted, Entry, Row, visible
from palaver.core.messages import Message, Text, ToolCall, ToolResult, user
from palaver.core.model import Count
from palaver.core.tool import Allow, Ask, ToolContext, ToolError, ToolSpec
from palaver.tools.toolbox import Box

FREE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": []}


class Probe:
    """A tool that notes when it ran."""

    def __init__(self, name: str, *, reads: bool = False) -> None:
        self.spec = ToolSpec(name, "a probe", FREE, reads)
        self.ran: list[int] = []
        self.running = self.most = self.ended = 0

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        number = arguments.get("n", 0)
        self.ran.append(number)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if number == 13:
                raise ToolError("error: bad luck")
            if number == 14:
                raise ZeroDivisionError("our fault")
            if number == 99:
                ctx.emit("half a line")
                await asyncio.sleep(60)
            await asyncio.sleep(0.002 * (5 - number % 5))
            return "x" * 5000 if number == 50 else f"did {number}"
        finally:
            self.running -= 1
            self.ended += 1

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        if arguments.get("n") == 17:
            raise ToolError("error: it would fail")
        return f"{self.spec.name} {arguments}"


class Killed(BaseException):
    """Stands for kill -9: nothing after it is written."""


class Paper:
    """A log in memory; `dies_at` ends the program with that append."""

    def __init__(self, *entries: Entry) -> None:
        self.rows = [Row(i, 1, None, 0.0, entry) for i, entry in enumerate(entries)]
        self.left: int | None = None

    async def path(self) -> list[Row]:
        return list(self.rows)

    async def append(self, entry: Entry, generation: Generation | None = None) -> Row:
        await asyncio.sleep(0)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        self.rows.append(Row(len(self.rows), 1, None, 0.0, entry, generation))
        return self.rows[-1]

    async def journal(self, kind: str, text: str) -> None:
        await asyncio.sleep(0)

    def entries(self, kind: type) -> list[Any]:
        return [row.entry for row in self.rows if isinstance(row.entry, kind)]

    def results(self) -> list[ToolResult]:
        return [p for m in self.entries(Message) for p in m.parts if isinstance(p, ToolResult)]


class Script:
    """A model that gives these answers, then says "done"."""

    name = "script"

    def __init__(self, *answers: Message, refuses_typed: bool = False) -> None:
        self._answers = list(answers)
        self.seen: list[list[Message]] = []
        self._refuses = refuses_typed

    async def respond(self, rows: Sequence[Row], tools: object, sampling: object):
        self.seen.append([row.entry for row in rows])
        await asyncio.sleep(0)
        answer = self._answers.pop(0) if self._answers else said("done")
        yield MessageDone(answer, Generation("e", "m"))

    async def count(self, rows: Sequence[Row], tools: object) -> Count:
        if self._refuses:
            from palaver.core.errors import UserError

            raise UserError("roles must alternate")
        return Count(1, 100, True)


def said(text: str) -> Message:
    return Message("assistant", (Text(text),), "end")


def calls(*made: tuple[str, int] | ToolCall, stop: Any = "end") -> Message:
    parts = [
        m if isinstance(m, ToolCall) else ToolCall(f"call_{i}", m[0], json.dumps({"n": m[1]}))
        for i, m in enumerate(made, 1)
    ]
    return Message("assistant", tuple(parts), stop)


class Bench:
    """A log, tools "look" and "change", and a user who answers as told."""

    def __init__(self, log: Paper, *, answer: Answer | None = None, asks: bool = False) -> None:
        self.log = log
        self.look, self.change = Probe("look", reads=True), Probe("change")
        self.asked: list[Question] = []
        self.events: list[Event] = []
        self.answer = answer or Answer(allowed=True)

        def judge(_call: ToolCall, spec: ToolSpec) -> Allow | Ask:
            return Ask("it changes things") if asks and not spec.reads else Allow()

        self.shop = Workshop(Box([self.look, self.change], judge), Path("/"), longest=1000)

        async def ask(question: Question) -> Answer:
            self.asked.append(question)
            return self.answer

        self.front = Front(self.events.extend, ask)

    def turn(self, model: Script, **given: Any) -> AwaitUser:
        async def work() -> AwaitUser:
            return await run.run_turn(self.log, model, self.shop, Sampling(), self.front, **given)

        return asyncio.run(work())


def texts(log: Paper) -> list[str]:
    return [result.text for result in log.results()]


def test_calls_run_and_the_answer_to_their_results_ends_the_turn():
    bench = Bench(Paper(user("go")))
    model = Script(calls(("look", 1), ("change", 2)))
    assert bench.turn(model) == AwaitUser("answered")
    assert texts(bench.log) == ["did 1", "did 2"]
    assert [type(row.entry).__name__ for row in bench.log.rows] == [
        "Message", "Message", "CallStarted", "Message", "CallStarted", "Message", "Message",
    ]  # fmt: skip
    states = [e.state for e in bench.events if isinstance(e, StateChanged)]
    assert states == ["thinking", "awaiting tool", "thinking", "idle"]
    named = [e for e in bench.events if isinstance(e, ToolStarted | ToolFinished)]
    assert [type(e) for e in named] == [ToolStarted, ToolFinished] * 2
    assert model.seen[1][-1].role == "tool"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (ToolCall("c", "nothing", "{}"), "there is no tool 'nothing'; there are: look, change"),
        (ToolCall("c", "look", '{"n": ', "cut off"), "can't be read: cut off"),
        (ToolCall("c", "look", "[1]"), "must be a JSON object"),
        (ToolCall("c", "look", '{"n": "one"}'), "'n' must be integer, not string"),
        (ToolCall("c", "look", '{"m": 1}'), "there is no argument 'm'"),
        (ToolCall("c", "look", '{"n": 13}'), "bad luck"),
        (ToolCall("c", "look", '{"n": 14}'), "look crashed: ZeroDivisionError: our fault"),
    ],
)
def test_whatever_is_wrong_with_a_call_is_its_result_and_the_rest_runs(call, text):
    bench = Bench(Paper(user("go")))
    assert bench.turn(Script(calls(call, ("look", 2)))) == AwaitUser("answered")
    first, second = bench.log.results()
    assert (first.failed, first.call_id) == (True, call.id)
    assert text in first.text
    assert second == ToolResult("call_2", "look", "did 2")


def test_reading_calls_run_side_by_side_the_others_in_order():
    bench = Bench(Paper(user("go")))
    bench.turn(Script(calls(("look", 1), ("look", 4), ("change", 3), ("change", 4), ("look", 2))))
    assert (bench.look.most, bench.change.most) == (2, 1)
    assert bench.change.ran == [3, 4]
    assert texts(bench.log)[:2] == ["did 4", "did 1"]  # as they were done
    seen = [p.text for row in visible(bench.log.rows) for p in row.entry.parts
            if isinstance(p, ToolResult)]  # fmt: skip
    assert seen == ["did 1", "did 4", "did 3", "did 4", "did 2"]  # as they were asked for


def test_the_same_call_runs_twice_and_no_third_time():
    bench = Bench(Paper(user("go")))
    same = [calls(("look", 1)) for _ in range(4)]
    assert bench.turn(Script(*same)) == AwaitUser("answered")
    assert bench.look.ran == [1, 1]
    assert [r.failed for r in bench.log.results()] == [False, False, True, True]
    other = Bench(Paper(user("go")))
    other.turn(Script(*[calls((name, 1)) for name in ("look", "look", "change", "look")]))
    assert other.look.ran == [1, 1, 1]  # something else was done in between


def test_rounds_end_and_the_model_has_one_more_answer_to_say_what_it_knows():
    bench = Bench(Paper(user("go")))
    model = Script(*[calls(("look", n)) for n in range(30)])
    assert bench.turn(model) == AwaitUser("tool rounds")
    assert bench.look.ran == list(range(8))
    assert "8 rounds of tools of this turn are used up" in texts(bench.log)[8]
    assert (len(model.seen), len(bench.log.results())) == (10, 10)
    bench.log.rows.append(Row(999, 1, None, 0.0, user("go on")))
    assert bench.turn(Script(calls(("look", 1)))) == AwaitUser("answered")
    assert bench.look.ran[-1] == 1


def test_nothing_runs_before_the_user_said_yes_to_these_bytes():
    bench = Bench(Paper(user("go")), asks=True)
    assert bench.turn(Script(calls(("look", 1), ("change", 2)))) == AwaitUser("answered")
    (question,) = bench.asked
    assert (question.preview, question.reason) == ("change {'n': 2}", "it changes things")
    kinds = [type(row.entry) for row in bench.log.rows]
    assert kinds.index(Approval) < len(kinds) - 1 - kinds[::-1].index(CallStarted)
    (approval,) = bench.log.entries(Approval)
    assert (approval.allowed, approval.by, approval.digest) == (True, "once", question.digest)


def test_what_would_happen_now_must_be_what_was_shown():
    bench = Bench(Paper(user("go"), calls(("change", 2))), asks=True)
    bench.log.rows.append(Row(2, 1, None, 0.0, Approval("call_1", True, "once", "other bytes")))
    bench.turn(Script())
    assert bench.change.ran == []
    assert "has changed since it was allowed" in texts(bench.log)[0]


def test_no_and_no_with_a_reason_and_nobody_to_ask():
    for answer, text in [
        (Answer(allowed=False), "declined by the user"),
        (Answer(allowed=False, reason="not now"), "declined by the user: not now"),
    ]:
        bench = Bench(Paper(user("go")), asks=True, answer=answer)
        assert bench.turn(Script(calls(("change", 2)))) == AwaitUser("answered")
        assert (bench.change.ran, texts(bench.log)) == ([], [text])
    bench = Bench(Paper(user("go")), asks=True)
    bench.front = Front(lambda _events: None)
    bench.turn(Script(calls(("change", 2))))
    assert NOBODY in texts(bench.log)[0]


def test_a_call_that_would_fail_is_not_asked_about():
    bench = Bench(Paper(user("go")), asks=True)
    bench.turn(Script(calls(("change", 17))))
    assert (bench.asked, texts(bench.log)) == ([], ["error: it would fail"])


@pytest.mark.parametrize("where", ["tool", "question"])
def test_stopping_ends_what_runs_and_leaves_every_call_a_result(where):
    bench = Bench(Paper(user("go")), asks=where == "question")
    halt = bench.front.halt = asyncio.Event()

    async def stop() -> AwaitUser:
        async def ask(_question: Question) -> Answer:
            halt.set()
            await asyncio.sleep(60)
            return Answer(allowed=True)

        bench.front.ask = ask
        model = Script(calls(("look", 99 if where == "tool" else 1), ("change", 2), ("look", 3)))
        turn = asyncio.create_task(
            run.run_turn(bench.log, model, bench.shop, Sampling(), bench.front)
        )
        await asyncio.sleep(0.15)
        halt.set()
        return await asyncio.wait_for(turn, 2)

    assert asyncio.run(stop()) == AwaitUser("stopped")
    assert (bench.look.running, bench.change.ran) == (0, [])
    assert Counter(r.call_id for r in bench.log.results()) == {
        "call_1": 1, "call_2": 1, "call_3": 1,
    }  # fmt: skip
    if where == "tool":
        assert "stopped by the user after" in texts(bench.log)[0]
        assert texts(bench.log)[0].endswith("it had printed:\nhalf a line")
    assert bench.log.rows[-1].entry.stop == "cancelled"
    assert next_step(bench.log.rows) == AwaitUser("stopped")
    halt.clear()
    assert bench.turn(Script(), again=True) == AwaitUser("answered")


def test_a_long_result_is_cut_for_the_model_and_kept_whole():
    bench = Bench(Paper(user("go")))
    bench.turn(Script(calls(("look", 50))))
    (result,) = bench.log.results()
    assert result.whole == "x" * 5000
    assert 1000 <= len(result.text) < 1200
    assert "4000 characters (lines 1 to 1 of 1) are left out here]" in result.text


def test_what_is_typed_meanwhile_goes_in_at_the_next_step():
    for refuses in (False, True):
        bench = Bench(Paper(user("go")))
        typed = ["and be quick"]
        bench.front.typed = lambda typed=typed: typed[0] if typed else None
        bench.front.sent = lambda typed=typed: typed.clear()
        model = Script(calls(("look", 1)), refuses_typed=refuses)
        assert bench.turn(model) == AwaitUser("answered")
        roles = [m.role for m in model.seen[1]]
        assert roles == ["user", "assistant", "tool", *([] if refuses else ["user"])]
        assert typed == (["and be quick"] if refuses else [])


def test_a_stopped_or_broken_answer_runs_nothing_one_cut_at_the_limit_does():
    for stop in ("cancelled", "error"):
        log = Paper(user("go"), calls(("change", 1), stop=stop))
        bench = Bench(log)
        assert bench.turn(Script()) == AwaitUser("cut off")
        assert bench.change.ran == []
    bench = Bench(Paper(user("go")))
    cut = ToolCall("call_2", "look", '{"n": 1', "the call was cut off")
    assert bench.turn(Script(calls(("look", 1), cut, stop="length"))) == AwaitUser("answered")
    assert (bench.look.ran, len(bench.log.results())) == ([1], 2)


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

"""Turns with tools: each call one result, in every case."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.support.bench import Bench, Paper, Script, calls, texts

from palaver.chat import run
from palaver.chat.decide import AwaitUser, next_step
from palaver.chat.front import NOBODY, Answer, Front, Question
from palaver.chat.work import Workshop
from palaver.core.events import StateChanged, ToolFinished, ToolOutput, ToolStarted
from palaver.core.generation import Sampling
from palaver.core.log import Approval, CallStarted, Printed, Row, visible
from palaver.core.messages import ToolCall, ToolResult, user
from palaver.tools.read_file import TOOL as READ
from palaver.tools.toolbox import Box


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
    bench.turn(Script(calls(("look", 30), ("look", 4), ("change", 3), ("change", 4), ("look", 2))))
    assert (bench.look.most, bench.change.most) == (2, 1)
    assert bench.change.ran == [3, 4]
    assert texts(bench.log)[:2] == ["did 4", "did 30"]  # as they were done
    seen = [p.text for row in visible(bench.log.rows) for p in row.entry.parts
            if isinstance(p, ToolResult)]  # fmt: skip
    assert seen == ["did 30", "did 4", "did 3", "did 4", "did 2"]  # as they were asked for


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
    assert (question.preview.text, question.reason) == ("change {'n': 2}", "it changes things")
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


@pytest.mark.parametrize("where", ["tool", "question", "only tool"])
def test_stopping_ends_what_runs_and_leaves_every_call_a_result(where):
    bench = Bench(Paper(user("go")), asks=where == "question")
    halt = bench.front.halt = asyncio.Event()

    async def stop() -> AwaitUser:
        async def ask(_question: Question) -> Answer:
            halt.set()
            await asyncio.sleep(60)
            return Answer(allowed=True)

        bench.front.ask = ask
        more = [] if where == "only tool" else [("change", 2), ("look", 3)]
        model = Script(calls(("look", 1 if where == "question" else 99), *more))
        turn = asyncio.create_task(
            run.run_turn(bench.log, model, bench.shop, Sampling(), bench.front)
        )
        await asyncio.sleep(0.15)
        halt.set()
        return await asyncio.wait_for(turn, 2)

    assert asyncio.run(stop()) == AwaitUser("stopped")
    assert (bench.look.running, bench.change.ran) == (0, [])
    ids = Counter(result.call_id for result in bench.log.results())
    assert ids == Counter(f"call_{n}" for n in range(1, 2 if where == "only tool" else 4))
    if where != "question":
        assert "stopped by the user after" in texts(bench.log)[0]
        assert texts(bench.log)[0].endswith("it had printed:\nhalf a line")
    assert bench.log.rows[-1].entry.stop == "cancelled"
    assert next_step(bench.log.rows) == AwaitUser("stopped")
    halt.clear()
    assert bench.turn(Script(), again=True) == AwaitUser("answered")


def test_what_a_tool_prints_is_kept_before_it_is_shown_and_comes_back_after_a_kill():
    bench = Bench(Paper(user("go")))
    shown: list[int] = []

    def show(events):
        printed = [e for e in events if isinstance(e, ToolOutput)]
        shown.extend(len(bench.log.output) for _ in printed)
        if printed:
            bench.front.halt.set()

    bench.front = Front(show)
    assert bench.turn(Script(calls(("look", 99)))) == AwaitUser("stopped")
    (row,) = [row for row in bench.log.rows if isinstance(row.entry, CallStarted)]
    assert (shown, bench.log.output) == ([1], [(row.id, "half a line")])

    killed = Bench(Paper(user("go"), calls(("change", 1)), CallStarted("call_1", "change")))
    killed.log.rows.append(Row(9, 1, None, 0.0, Printed("call_1", "half a line")))
    killed.answer = Answer(allowed=False, reason="it hangs")
    assert killed.turn(Script()) == AwaitUser("answered")
    assert killed.asked[0].printed == "half a line"
    assert texts(killed.log)[0].endswith(
        "what it did is not known; the user says: it hangs; it had printed:\nhalf a line"
    )


def test_a_long_result_is_cut_for_the_model_and_kept_whole():
    bench = Bench(Paper(user("go")))
    bench.turn(Script(calls(("look", 50))))
    (result,) = bench.log.results()
    assert result.whole == "x" * 5000
    assert 1000 <= len(result.text) < 1200
    assert "4000 characters (lines 1 to 1 of 1) are left out here]" in result.text


def test_the_model_reads_on_in_a_result_that_was_cut():
    bench = Bench(Paper(user("go")))
    bench.shop = Workshop(Box([bench.look, READ]), Path("/"), context=1000)
    on = ToolCall("call_1", "read_file", '{"path": "result:1", "start": 40, "end": 41}')
    gone = ToolCall("call_2", "read_file", '{"path": "result:2"}')
    bench.turn(Script(calls(("look", 60)), calls(on, gone)))
    cut, read, missing = bench.log.results()
    assert 'read_file with path "result:1", start and end shows them' in cut.text
    assert cut.whole.count("\n") == 99
    assert read.text == "line 39\nline 40"
    assert (missing.failed, "no result was cut" in missing.text) == (True, True)


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

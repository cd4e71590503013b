"""Results in a context that fills up, counted by a real model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.bench import Bench, Paper, Script, calls
from tests.support.talk import load

from palaver.chat import run
from palaver.chat.work import Workshop
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling
from palaver.core.log import CallStarted
from palaver.core.messages import Message, user
from palaver.models.local import LocalModel
from palaver.tools.toolbox import Box


class Counting(Script):
    """Answers as told, and counts as a model does; one that does not fit is refused as by it."""

    def __init__(self, model: LocalModel, *answers: Message) -> None:
        super().__init__(*answers)
        self.model = model
        self.totals: list[int] = []

    async def respond(self, rows, tools, sampling):
        self.totals.append((await self.model.count(rows, tools)).total)
        if self.totals[-1] >= self.model.engine.info.context:
            async for _ in self.model.respond(rows, tools, Sampling(max_tokens=1)):
                raise AssertionError("it was answered")
        async for event in super().respond(rows, tools, sampling):
            yield event

    async def count(self, rows, tools):
        return await self.model.count(rows, tools)


@pytest.mark.parametrize("answer", [(60,), (60, 50, 60)])
def test_results_are_cut_to_what_fits_and_a_loop_that_does_not_ends_in_order(tmp_path, answer):
    # another call between two of the same, which would be refused the third time
    other = [(61, *answer[1:]), answer]
    answers = [calls(*[("look", n) for n in other[i % 2]]) for i in range(40)]
    bench = Bench(Paper(user("go")))

    async def turn() -> list[int]:
        model = await load(tmp_path, context=4096)
        try:
            script = Counting(model, *answers)
            shop = Workshop(Box([bench.look]), Path("/"), rounds=100, context=4096)
            with pytest.raises(UserError, match="the context holds 4096") as failed:
                await run.run_turn(bench.log, script, shop, Sampling(), bench.front)
            assert "/trim" in (failed.value.fix or "")
            return script.totals
        finally:
            await model.close()

    totals = asyncio.run(turn())
    assert totals[1] <= 4096 - 4096 // 8  # what was left is shared, and an answer has room
    assert max(totals[:-1]) < 4096 <= totals[-1]
    results = bench.log.results()
    assert len(results) == len(bench.log.entries(CallStarted)) == len(answer) * (len(totals) - 1)
    cut = [result for result in results if result.whole]
    assert len(cut) > 2
    assert all(len(result.whole) > 1000 and "left out here" in result.text for result in cut)


def test_a_result_is_kept_where_the_engine_dies_as_it_is_counted():
    class Dead(Script):
        async def count(self, rows, tools):
            raise EngineError("the engine's process ended", died=True)

    bench = Bench(Paper(user("go")))
    assert bench.turn(Dead(calls(("look", 60)))).why == "answered"
    (result,) = bench.log.results()
    assert "left out here" in result.text

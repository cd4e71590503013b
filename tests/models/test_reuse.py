"""Nothing is read twice: asserted on the engine's own counts, for every kind of cache."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.talk import LONG, Talk, loaded

from palaver.core.messages import system, user

KINDS = ["llama", "swa", "recurrent", "hybrid"]
TURN = 40  # tokens that a short turn adds, and a few


def exact(talk: Talk) -> bool:
    """Say whether the engine reused just what was said before."""
    return talk.as_said() and talk.last.timings.reused == talk.cost.reused


def test_whatever_is_said_next_only_the_new_is_read(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            first = talk.last.timings.prefilled
            assert first > 400
            for number in range(3):  # next turns
                await talk.ask(f"and {number}")
                assert exact(talk)
                assert talk.last.timings.prefilled <= TURN
            kept = len(talk.rows)
            retry = talk.branch(kept - 1)
            await retry.answer(seed=9)
            assert retry.last.timings.prefilled <= 2
            edit = talk.branch(kept - 2)
            await edit.ask("in other words")
            assert exact(edit)
            assert edit.last.timings.prefilled <= TURN
            undone = talk.branch(kept - 4)
            await undone.ask("after two undos")
            assert exact(undone)
            assert undone.last.timings.prefilled <= TURN
            assert undone.cost.broke is None
            whole = talk.branch(kept)  # back to the long one, whose tail was overwritten
            await whole.ask("redone")
            assert exact(whole)
            assert whole.last.timings.prefilled < first / 2

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_next_turn_retry_edit_and_undo_with_every_kind_of_cache(tmp_path, kind):
    async def run() -> None:
        async with loaded(tmp_path, kind) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            assert talk.as_said()
            for number in range(2):
                await talk.ask(f"and {number}")
                assert talk.as_said()
                assert talk.last.timings.prefilled <= TURN
            for keep, what in ((-1, None), (-2, "in other words"), (-4, "after an undo")):
                other = talk.branch(len(talk.rows) + keep)
                if what is None:
                    await other.answer(seed=9)
                    assert other.last.timings.prefilled <= TURN  # back to the mark before it
                    continue
                await other.ask(what)
                assert other.as_said()
                if other.last.timings.prefilled > TURN:
                    assert "read again" in other.cost.broke

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_switching_between_conversations_restores_each(tmp_path, kind):
    async def run() -> None:
        async with loaded(tmp_path, kind) as model:
            talks = [Talk(model, head=LONG[:100]), Talk(model, head=LONG[50:])]
            for talk in talks:
                await talk.ask(LONG[i * 7 :] if (i := talks.index(talk)) else LONG)
                assert await model.cache.save()
                assert not await model.cache.save()  # it is saved
            for _ in range(2):
                for talk in talks:
                    await talk.ask("next")
                    assert talk.as_said()
                    assert talk.last.timings.prefilled <= TURN + 16  # swa reads the reply again
                    await model.cache.save()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_process_goes_on_from_the_saved_state(tmp_path, kind):
    async def run() -> None:
        async with loaded(tmp_path, kind) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            await talk.ask("two")
            assert await model.cache.save()
        async with loaded(tmp_path, kind) as model:
            again = Talk(model, talk.rows)
            retry = again.branch(len(again.rows) - 1)
            await again.ask("three")
            assert again.as_said()
            assert again.last.timings.prefilled <= TURN + 16
            await model.cache.restart()
            await retry.answer(seed=8)
            assert retry.last.timings.prefilled <= TURN

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [10, 40, 70, 200])
def test_no_promise_is_broken_at_any_length(tmp_path, kind, length):
    """Marks depend on where prompts end: walk over many ends, going back each time."""

    async def run() -> None:
        async with loaded(tmp_path, kind, batch=32) as model:
            talk = Talk(model, head=LONG[:length])
            for step in range(5):
                await talk.ask(LONG[: 3 + step * 5], max_tokens=3 + step)
                assert talk.as_said()
                other = talk.branch(len(talk.rows) - (2 if step % 2 else 1))
                if step % 2:
                    await other.ask("no " * (step + 1), max_tokens=4)
                    assert other.as_said()
                else:
                    await other.answer(max_tokens=2 + step)
                talk = other

    asyncio.run(run())


def test_an_answer_that_waits_for_a_restart_is_kept(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            talk.add(user("go on"))
            prompt = await model.prompt(talk.rows, ())
            restart = asyncio.create_task(model.restart(1))
            await asyncio.sleep(0)
            assert model.cache.busy.locked()
            async for event in model.answer(prompt, (), _greedy(8)):
                last = event
            assert await restart
            assert last.generation.timings.prefilled < 40  # the saved state was carried over
            assert model.cache.held[: len(prompt.ids)] == list(prompt.ids)

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["prefill", "decode"])
def test_what_a_cancel_leaves_is_known(tmp_path, kind, where):
    async def run() -> None:
        async with loaded(tmp_path, kind, batch=32) as model:
            talk = Talk(model, head=LONG)
            talk.add(user(LONG))
            answer = model.respond(talk.rows, (), _greedy(60))
            seen = 0
            async for event in answer:
                kind_of = type(event).__name__
                seen += kind_of == ("Prefill" if where == "prefill" else "TextDelta")
                if seen == 3 and kind_of != "MessageDone":
                    model.cancel()
            if event.message.parts:
                assert event.message.stop == "cancelled"
                talk.add(event.message, event.generation)
            else:
                talk.rows.pop()
            await talk.ask(LONG if where == "prefill" else "go on")
            assert talk.as_said()
            if model.engine.info.cut_back:
                assert talk.last.timings.reused >= 32

    asyncio.run(run())


def _greedy(tokens: int):
    from palaver.core.generation import Sampling

    return Sampling(max_tokens=tokens, temperature=0.0, grammar='root ::= "ab cd "{200}')


def test_a_changed_system_prompt_is_said_to_break_the_prefix(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            talk.add(system("another"))
            await talk.ask("hm")
            assert talk.as_said()
            assert "changed" in talk.cost.broke
            assert talk.last.exact

    asyncio.run(run())


def test_a_draft_that_is_typed_further_costs_no_more_than_said(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model, head=LONG)
            await talk.ask("one")
            costs = [await model.cost(talk.rows, (), LONG[:n]) for n in (0, 5, 50, 300)]
            assert len({cost.reused for cost in costs}) == 1
            fresh = [cost.prefill for cost in costs]
            assert fresh == sorted(fresh)
            assert all(cost.seconds > 0 for cost in costs)

    asyncio.run(run())


def test_a_warm_up_leaves_only_the_draft_to_read(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
        async with loaded(tmp_path, limit=0) as model:
            cold = Talk(model, talk.rows)
            await model.warm(cold.rows, ())
            held = len(model.cache.held)
            assert held > 500
            await model.warm(cold.rows[:2], ())  # a shorter one takes nothing away
            assert len(model.cache.held) == held
            await cold.ask("x")
            assert exact(cold)
            assert cold.last.timings.prefilled <= 20

    asyncio.run(run())


@pytest.mark.parametrize("delay", [0.0, 0.02])
def test_an_answer_ends_a_warm_up(tmp_path, delay):
    async def run() -> None:
        async with loaded(tmp_path, batch=32, context=4096) as model:
            talk = Talk(model, head=" ".join([LONG] * 7))
            warming = asyncio.create_task(model.warm(talk.rows, ()))
            await asyncio.sleep(delay)
            await talk.ask("now", max_tokens=2)
            await warming
            assert talk.last.timings.decoded <= 2
            assert talk.last.timings.reused + talk.last.timings.prefilled > 2000

    asyncio.run(run())

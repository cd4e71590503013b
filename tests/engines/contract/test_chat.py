"""Conversations on any engine: nothing is read twice, nothing is lost with a dead process."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.support.engines import collect, folder_of, gone, pid, text
from tests.support.talk import Talk

from palaver.core.errors import EngineError, UserError
from palaver.core.events import Event, TextDelta
from palaver.core.generation import Sampling
from palaver.core.messages import user
from palaver.engines.completions.llama_server import LlamaServer
from palaver.engines.registry import find
from palaver.models.prompt import all_ids

from .conftest import ENGINES, opened, owned

GREEDY = {"temperature": 0.0, "max_tokens": 200}
PLAIN = (
    ("Hello", "Hello! I am palaver-nano, a model for tests."),
    ("Count to five.", "One, two, three, four, five."),
    ("Thanks", "You're welcome."),
)


def sequence(talk: Talk) -> tuple[int, ...]:
    return all_ids(talk.rows[-1], {row.id: row for row in talk.rows})


async def said(talk: Talk, text: str) -> str:
    await talk.ask(text, **GREEDY)
    return talk.rows[-1].entry.text


def new_tokens(talk: Talk, before: int) -> bool:
    """Say whether the last answer read what was new, and at most a token of what was old."""
    timings = talk.last.timings
    return timings.reused >= before - 1 and talk.as_said()


def test_the_next_turn_reads_what_is_new(model):
    async def run() -> None:
        talk = Talk(model)
        before = 0
        for asked, answer in PLAIN:
            assert await said(talk, asked) == answer
            assert new_tokens(talk, before)
            assert talk.last.exact
            before = len(sequence(talk))

    asyncio.run(run())


def test_undo_and_edit_read_what_changed(model):
    async def run() -> None:
        talk = Talk(model)
        for asked, _ in PLAIN[:2]:
            await said(talk, asked)
        first = len(sequence(talk.branch(2)))
        other = talk.branch(2)
        assert await said(other, "Thanks")  # another second turn: the first stays read
        assert new_tokens(other, first)
        again = talk.branch(2)
        assert await said(again, PLAIN[1][0]) == PLAIN[1][1]
        assert new_tokens(again, first)
        edited = talk.branch(0)
        assert await said(edited, "Smile") == "😀 Sure! 👩\u200d🚀🇩🇪 café naïve €"
        assert edited.last.timings.reused >= 3  # the head up to what was typed

    asyncio.run(run())


@owned
def test_two_conversations_in_turn_are_both_answered_right(model):
    async def run() -> None:
        plain, smile = Talk(model), Talk(model)
        assert await said(plain, "Hello") == PLAIN[0][1]
        assert await said(smile, "Smile") == "😀 Sure! 👩\u200d🚀🇩🇪 café naïve €"
        assert await model.cache.save()
        assert await said(plain, PLAIN[1][0]) == PLAIN[1][1]
        assert await model.cache.save()
        assert await said(smile, "日本語で") == "こんにちは、世界。日本語です。"
        assert new_tokens(smile, len(sequence(smile.branch(2))))  # restored, not read
        assert await said(plain, "Thanks") == "You're welcome."
        assert new_tokens(plain, len(sequence(plain.branch(4))))

    asyncio.run(run())


def test_what_is_said_after_reuse_is_what_a_fresh_reading_says(model):
    async def run() -> None:
        talk = Talk(model)
        for asked, _ in PLAIN:
            await said(talk, asked)
        prompt = (await model.prompt([*talk.rows, talk.branch(6).add(user("and now?"))], ())).ids
        given = {"max_tokens": 24, "temperature": 0.0, "logprobs": 1, "logit_bias": ((2, -1e3),)}
        reused = await collect(model.engine, prompt, **given)
        assert reused[-1].timings.prefilled < 20
        async for _ in model.engine.prefill([340]):
            pass
        fresh = await collect(model.engine, prompt, **given)
        assert fresh[-1].timings.reused == 0
        assert text(fresh) == text(reused)
        pairs = zip(chances(fresh), chances(reused), strict=True)
        assert max(abs(a - b) for a, b in pairs) < 0.02

    asyncio.run(run())


def chances(tokens: list) -> list[float]:
    return [entry["logprob"] for token in tokens for entry in token.logprobs]


def test_what_an_engine_says_it_can_do_is_tested_here(model):
    attached = isinstance(model.engine, LlamaServer)
    kind = find("completions" if attached else model.engine.info.name)
    assert {"exact ids", "log-probabilities", "grammars"} <= set(kind.can)

    async def saves() -> bool:
        await said(Talk(model), "Hello")
        try:
            return bool(await model.engine.save(model.cache.states.scratch()))
        except EngineError:
            return False

    assert asyncio.run(saves()) == ("saved states" in kind.can)


@owned
def test_a_saved_state_is_restored_and_gone_on_from(model):
    async def run() -> None:
        talk = Talk(model)
        assert "palaver" in await said(talk, "Hello")
        assert await model.cache.save() is True
        assert await model.cache.save() is False  # it is there
        held = list(model.cache.held)
        async for _ in model.engine.prefill([340]):
            pass
        model.cache.forget()
        await model.cache.restore([*held, 5])
        assert model.cache.held[: len(held)] == held  # or a longer one that begins with it
        assert await said(talk, PLAIN[1][0]) == PLAIN[1][1]
        assert new_tokens(talk, len(held))

    asyncio.run(run())


def test_a_conversation_that_does_not_fit_is_refused_before_the_engine(model):
    async def run() -> None:
        talk = Talk(model)
        with pytest.raises(UserError, match="the context holds 1024"):
            await talk.ask("word " * 600, **GREEDY)
        assert await said(Talk(model), "Hello") == PLAIN[0][1]

    asyncio.run(run())


@owned
def test_a_killed_engine_leaves_what_it_said_and_the_chat_goes_on(model):
    forever = Sampling(max_tokens=800, temperature=0.0, logit_bias=((0, -1e3), (2, -1e3)))

    async def run() -> None:
        talk = Talk(model)
        await said(talk, "Hello")
        rows = [*talk.rows, talk.branch(2).add(user("Tell a long story."))]
        events: list[Event] = []

        async def struck() -> None:
            async for event in model.respond(rows, (), forever):
                events.append(event)
                if len([e for e in events if isinstance(e, TextDelta)]) == 3 and model.alive:
                    os.kill(pid(model.engine), signal.SIGKILL)
                    assert await gone(pid(model.engine))

        with pytest.raises(EngineError) as caught:
            await struck()
        assert caught.value.died
        done = events[-1].message
        assert done.stop == "error"
        assert done.text == "".join(e.text for e in events if isinstance(e, TextDelta))
        assert done.text
        await model.restart()
        assert await said(talk, PLAIN[1][0]) == PLAIN[1][1]

    asyncio.run(run())


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_closing_leaves_nothing_behind(tmp_path: Path, engine: str):
    async def run() -> None:
        model = await opened(tmp_path, engine)
        number, folder = pid(model.engine), folder_of(model.engine)
        assert folder.stat().st_mode & 0o777 == 0o700
        await said(Talk(model), "Hello")
        await model.close()
        await model.close()
        assert await gone(number)
        assert not folder.exists()

    asyncio.run(run())

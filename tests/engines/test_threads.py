"""Choosing threads: measured, asked twice, changed with the state carried over."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.engines import running, start
from tests.support.talk import LONG, Talk, loaded

from palaver.engines.child import engine as engine_module
from palaver.engines.child import threads
from palaver.engines.child.engine import ChildEngine


def test_the_probe_stays_within_the_cores_that_we_may_use():
    assert 1 <= threads.free_cores(1) <= threads.allowed()


@pytest.mark.parametrize(
    ("shares", "cores"),
    [([1.0, 1.0], 2), ([0.95, 0.9], 2), ([0.7, 0.75], 1), ([0.5, 0.5], 1), ([0.2, 0.3], 1)],
)
def test_what_burners_got_is_how_many_cores_are_free(monkeypatch, shares, cores):
    """Shares as measured beside none, one and two busy processes on two cores."""
    given = iter(shares * 2)
    monkeypatch.setattr(threads, "allowed", lambda: 2)
    monkeypatch.setattr(threads, "_burn", lambda _until, into: into.append(next(given)))
    assert threads.free_cores() == cores


def test_a_fixed_number_is_never_changed(engine, monkeypatch):
    monkeypatch.setattr(engine_module, "free_cores", lambda: pytest.fail("measured"))
    assert asyncio.run(engine.better_threads()) is None


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """An engine whose number of threads is not fixed, started where one core is free."""
    made = asyncio.run(start(tmp_path_factory.mktemp("f"), threads=None))
    yield made
    asyncio.run(made.close())


@pytest.mark.parametrize(
    ("measured", "wanted"), [([7], None), ([1, 7], None), ([1, 1], 1), ([3, 3], 3), ([3, 2], None)]
)
def test_a_change_has_to_be_measured_twice(free, monkeypatch, measured, wanted):
    import msgspec

    monkeypatch.setattr(free, "info", msgspec.structs.replace(free.info, threads=7))
    monkeypatch.setattr(engine_module, "allowed", lambda: 8)
    given = iter(measured)
    monkeypatch.setattr(engine_module, "free_cores", lambda: next(given))
    assert asyncio.run(free.better_threads()) == wanted


def test_a_change_of_threads_carries_the_state_over(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            assert await model.cache.restart(2)
            assert model.engine.info.threads == 2
            await talk.ask("next", max_tokens=2)
            assert talk.last.timings.reused == talk.cost.reused > 500
            await model.cache.restart()  # as after a crash: what was given counts again
            assert model.engine.info.threads == 1

    asyncio.run(run())


def test_a_cache_that_can_not_be_saved_is_not_given_up_for_threads(tmp_path):
    async def run() -> None:
        async with loaded(tmp_path, limit=0) as model:
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            number = model.engine._child.process.pid
            assert not await model.cache.restart(2)
            assert model.engine._child.process.pid == number
            await talk.ask("next", max_tokens=2)
            assert talk.last.timings.reused > 500

    asyncio.run(run())


def test_a_crash_after_a_change_measures_again(tmp_path):
    async def run(made: ChildEngine) -> None:
        await made.restart(1)
        assert made._child.options.threads == 1
        assert made._child.given.threads is None
        await made.restart()
        assert made._child.options.threads is None

    async def whole() -> None:
        async with running(tmp_path, threads=None) as made:
            await run(made)

    asyncio.run(whole())

"""Saved states with the real engine: what comes back, what is refused before native code."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from tests.support.engines import collect, running, wide_heads

from palaver.core.errors import EngineError
from palaver.engines.child.engine import ChildEngine
from palaver.models.cache import Cache
from palaver.models.kv import States, ids_of

PROMPT = [3 + (7 * i) % 480 for i in range(400)]


def states(engine: ChildEngine, limit: int = 1 << 30) -> States:
    return States(Path(engine._child.options.slots), engine.info.fingerprint, limit)


async def keep(engine: ChildEngine, found: States, prompt: list[int]) -> Path:
    """Read a prompt and save the state; return its file."""
    before = set(found.folder.iterdir())
    async for _ in engine.prefill(prompt):
        pass
    scratch = found.scratch()
    assert await engine.save(scratch) == scratch.stat().st_size
    assert found.keep(scratch)
    (made,) = set(found.folder.iterdir()) - before
    return made


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_a_new_process_goes_on_from_a_saved_state(tmp_path, kv_type):
    model = wide_heads(tmp_path / "wide.gguf")

    async def run() -> None:
        async with running(tmp_path, kv_type=kv_type, model=model) as engine:
            fresh = await collect(engine, [*PROMPT, 5], seed=1)
            path = await keep(engine, states(engine), PROMPT)
            assert path.stat().st_mode & 0o777 == 0o600
            assert ids_of(path).tolist() == PROMPT
        async with running(tmp_path, kv_type=kv_type, model=model) as engine:
            found = states(engine).best(PROMPT, 0)
            assert await engine.restore(found.path) == len(PROMPT)
            again = await collect(engine, [*PROMPT, 5], seed=1)
            assert again[-1].timings.prefilled <= 2
            assert [t.ids for t in again if t.ids] == [t.ids for t in fresh if t.ids]

    asyncio.run(run())


def test_other_kv_types_and_other_weights_are_other_fingerprints(tmp_path):
    from tests.support.gguf import make_tiny

    one = wide_heads(tmp_path / "one.gguf")
    other = make_tiny(tmp_path / "other.gguf", "llama", seed=1)

    async def run() -> None:
        seen = set()
        for given in ({"model": one}, {"model": one, "kv_type": "q8_0"}, {"model": other}):
            async with running(tmp_path, **given) as engine:
                found = states(engine)
                assert found.best(PROMPT, 0) is None
                await keep(engine, found, PROMPT)
                seen.add(engine.info.fingerprint)
        assert len(seen) == 3

    asyncio.run(run())


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _other_ids(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(24)
        file.write(b"\x01\x00\x00\x00")


def _other_version(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4)
        file.write(b"\x63\x00\x00\x00")


def _longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"tail")


def _huge_count(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "damage", [_truncate, _empty, _other_ids, _other_version, _longer, _huge_count]
)
@pytest.mark.parametrize("late", [False, True])
def test_a_damaged_state_is_removed_and_never_reaches_the_engine(tmp_path, damage, late):
    async def run() -> None:
        async with running(tmp_path) as engine:
            found = states(engine)
            path = await keep(engine, found, PROMPT)
            await engine.restart()
            cache = Cache(engine, found)
            if late:
                assert cache.reusable([*PROMPT, 5]).tokens == len(PROMPT)
            damage(path)
            if not late:
                assert cache.reusable([*PROMPT, 5]).tokens == 0
            await cache.restore([*PROMPT, 5])
            assert cache.held == []
            assert not path.exists()
            assert engine.alive

    asyncio.run(run())


def test_a_state_of_another_shape_is_refused_and_the_engine_lives(tmp_path):
    model = wide_heads(tmp_path / "wide.gguf")

    async def run() -> None:
        async with running(tmp_path, kv_type="q8_0", model=model) as engine:
            path = await keep(engine, states(engine), PROMPT)
        async with running(tmp_path, model=model) as engine:
            named = path.rename(path.with_name(states(engine)._prefix + path.name[16:]))
            cache = Cache(engine, states(engine))
            await cache.restore([*PROMPT, 5])
            assert cache.held == []
            assert engine.alive
            assert not named.exists()  # it would be refused again each time

    asyncio.run(run())


def test_a_state_that_kills_the_engine_is_not_tried_again(tmp_path):
    """The engine dies in a restore (here: killed); the file must not kill the next one."""

    class Dying:
        def __init__(self, engine: ChildEngine) -> None:
            self.info = engine.info
            self.alive = False

        async def restore(self, path: Path) -> int:
            raise EngineError("the engine's process ended", died=True)

    async def run() -> None:
        async with running(tmp_path) as engine:
            found = states(engine)
            path = await keep(engine, found, PROMPT)
            with pytest.raises(EngineError):
                await Cache(Dying(engine), found).restore([*PROMPT, 5])
            assert not path.exists()

    asyncio.run(run())


def test_the_limit_counts_bytes_and_the_least_used_go_first(tmp_path):
    async def run() -> None:
        async with running(tmp_path) as engine:
            one = await keep(engine, states(engine), PROMPT[:200])
            size = one.stat().st_size
            found = states(engine, int(size * 2.5))
            assert found.may_keep(size)
            assert not found.may_keep(size * 3)
            two = await keep(engine, found, PROMPT[1:201])
            os.utime(one, (time.time() - 50, time.time() - 50))
            os.utime(two, (time.time() - 90, time.time() - 90))
            found.touch(two)
            three = await keep(engine, found, PROMPT[2:202])
            assert [p.exists() for p in (one, two, three)] == [False, True, True]
            assert sum(p.stat().st_size for p in found.folder.iterdir()) <= size * 2.5

    asyncio.run(run())


def test_nothing_is_written_where_nothing_may_be_kept(tmp_path):
    async def run() -> None:
        async with running(tmp_path) as engine:
            cache = Cache(engine, states(engine, 0))
            await cache.warm(PROMPT)
            assert len(cache.held) == len(PROMPT)
            changed = Path(engine._child.options.slots).stat().st_mtime_ns
            assert not await cache.save()
            assert await cache.peek(len(PROMPT)) is None
            assert Path(engine._child.options.slots).stat().st_mtime_ns == changed

    asyncio.run(run())


def test_a_save_that_can_not_be_written_is_said_and_leaves_nothing(tmp_path):
    async def run() -> None:
        async with running(tmp_path) as engine:
            found = states(engine)
            async for _ in engine.prefill(PROMPT):
                pass
            found.folder.rmdir()
            with pytest.raises(EngineError, match="save"):
                await engine.save(found.scratch())
            assert engine.alive
            assert (await collect(engine, PROMPT))[-1].timings.prefilled <= 2

    asyncio.run(run())

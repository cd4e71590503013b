"""Several prompts completed at a time, by whatever way an engine has for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing

from msgspec import Struct

from palaver.core.engine import Engine, Token
from palaver.core.generation import Sampling, Timings
from palaver.engines.child.engine import ChildEngine


class Completion(Struct, frozen=True):
    """One prompt's whole reply; `stop` is "end" or "length"."""

    text: str
    ids: tuple[int, ...]
    stop: str
    timings: Timings


async def complete(
    engine: Engine, prompts: Sequence[Sequence[int]], sampling: Sampling
) -> list[Completion]:
    """Complete all prompts, in their order. Raises EngineError, UserError for any of them."""
    if not isinstance(engine, ChildEngine):
        return await _in_slots(
            engine.parallel, prompts, lambda prompt, _: engine.generate(prompt, sampling)
        )
    if engine.hosted:
        return await _as_one_request(engine, prompts, sampling)
    return await _in_slots(
        engine.parallel, prompts, lambda prompt, slot: engine.generate(prompt, sampling, slot)
    )


async def _as_one_request(
    engine: ChildEngine, prompts: Sequence[Sequence[int]], sampling: Sampling
) -> list[Completion]:
    found: dict[int, Completion] = {}
    async with aclosing(engine.batch(prompts, sampling)) as replies:
        async for index, token in replies:
            found[index] = _completion([token])
    return [found[index] for index in range(len(prompts))]


async def _in_slots(
    slots: int,
    prompts: Sequence[Sequence[int]],
    generate: Callable[[Sequence[int], int], AsyncGenerator[Token]],
) -> list[Completion]:
    found: dict[int, Completion] = {}
    waiting = iter(enumerate(prompts))

    async def work(slot: int, waiting: Iterator[tuple[int, Sequence[int]]]) -> None:
        for index, prompt in waiting:
            found[index] = await _one(generate(prompt, slot))

    try:
        async with asyncio.TaskGroup() as group:
            for slot in range(slots):
                group.create_task(work(slot, waiting))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [found[index] for index in range(len(prompts))]


async def _one(tokens: AsyncGenerator[Token]) -> Completion:
    async with aclosing(tokens):
        return _completion([token async for token in tokens])


def _completion(tokens: Sequence[Token]) -> Completion:
    last = tokens[-1]
    return Completion(
        text="".join(token.text for token in tokens),
        ids=tuple(i for token in tokens for i in token.ids),
        stop=last.stop or "",
        timings=last.timings or Timings(),
    )

"""The only loop: asks what is next, does it, writes it down before it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import groupby

from palaver.chat.decide import (
    Ask,
    AwaitUser,
    Generate,
    Refuse,
    RunTools,
    next_step,
    state_of,
)
from palaver.chat.front import Front, Show
from palaver.chat.work import STOPPED, Worker, Workshop
from palaver.core.errors import UserError
from palaver.core.events import (
    CallDelta,
    Event,
    MessageDone,
    Prefill,
    ReasoningDelta,
    State,
    StateChanged,
    TextDelta,
)
from palaver.core.generation import Sampling
from palaver.core.log import JournalKind, Log, Row, visible
from palaver.core.messages import Message, user
from palaver.core.model import Model

FRAME = 0.025  # seconds between repaints; deltas that come in one frame are one row on disk


async def run_turn(
    log: Log,
    model: Model,
    shop: Workshop,
    sampling: Sampling,
    front: Front,
    *,
    again: bool = False,
) -> AwaitUser:
    """Work until the user has to say something again.

    `again` lets the model go on where the user had stopped a tool. Raises what `Model.respond`
    raises; the part of an answer that had come is stored then.
    """
    worker = Worker(log, shop, front, model)
    state: State | None = None
    while True:
        rows = await log.path()
        await worker.prepare(rows)
        step = Generate() if again else next_step(rows, shop.rules)
        again = False
        if (now := state_of(step)) != state:
            state = now
            front.show([StateChanged(now)])
        if isinstance(step, AwaitUser):
            return step
        if front.halt.is_set():
            if isinstance(step, Generate):
                front.show([StateChanged("idle")])
                return AwaitUser("unanswered")
            await worker.close(STOPPED, "cancelled")
        elif isinstance(step, Ask):
            await worker.ask(step)
        elif isinstance(step, RunTools):
            await worker.run(step)
        elif isinstance(step, Refuse):
            await worker.refuse(step)
        else:
            rows = await _typed_ahead(log, model, shop, front)
            answer = model.respond(visible(rows), shop.specs, sampling)
            if await take(log, answer, front.show) is None:
                front.show([StateChanged("idle")])
                return AwaitUser("unanswered")  # stopped before the first word: not asked again


async def _typed_ahead(log: Log, model: Model, shop: Workshop, front: Front) -> list[Row]:
    """Say what the user typed while tools ran, where the model's template takes it there."""
    rows = await log.path()
    last = rows[-1].entry if rows else None
    text = front.typed()
    if text is None or not (isinstance(last, Message) and last.role == "tool"):
        return rows
    said = Row(-1, rows[-1].session, rows[-1].id, 0.0, user(text))
    try:
        await model.count(visible([*rows, said]), shop.specs)
    except UserError:
        return rows  # it is said when the turn is over
    await log.append(user(text))
    front.sent()
    return await log.path()


async def take(log: Log, answer: AsyncIterator[Event], show: Show) -> Row | None:
    """Write and show one answer as it comes; return its row, None where nothing was said.

    Two tasks, so that a slow disk or screen never holds up the engine.
    """
    frames = _Frames()
    reader = asyncio.create_task(frames.read(answer))
    row: Row | None = None
    try:
        while events := await frames.next():
            began = time.perf_counter()
            row = await _write(log, events) or row
            show(events)
            if not isinstance(
                events[-1], MessageDone | Prefill
            ):  # the first word waits for nothing
                await frames.pause(FRAME - (time.perf_counter() - began))
    finally:
        reader.cancel()  # of no effect where it is done
        await asyncio.gather(reader, return_exceptions=True)
    await reader  # raises what the model raised
    return row


class _Frames:
    """Gathers events until somebody asks for them."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    async def read(self, answer: AsyncIterator[Event]) -> None:
        try:
            async for event in answer:
                self._events.append(event)
                self._news.set()
        finally:
            self._over.set()
            self._news.set()

    async def next(self) -> list[Event]:
        """Return what has come since, at least one event; an empty list at the end."""
        while not self._events and not self._over.is_set():
            self._news.clear()
            await self._news.wait()
        events, self._events = self._events, []
        return events

    async def pause(self, seconds: float) -> None:
        """Let events gather for a while; not once the last has come, which tools wait for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()


async def _write(log: Log, events: Sequence[Event]) -> Row | None:
    """Journal a frame's deltas, joined by kind; store the message if it is complete."""
    deltas = [e for e in events if isinstance(e, TextDelta | ReasoningDelta | CallDelta)]
    for delta, run in groupby(deltas, type):
        await log.journal(_KINDS[delta], "".join(map(_journalled, run)))
    last = events[-1]
    if isinstance(last, MessageDone) and (last.message.parts or last.message.stop == "end"):
        return await log.append(last.message, last.generation)
    return None


_KINDS: dict[type, JournalKind] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    CallDelta: "call",
}


def _journalled(event: TextDelta | ReasoningDelta | CallDelta) -> str:
    if isinstance(event, CallDelta):
        return (f"\n{event.name} " if event.name else "") + event.arguments
    return event.text

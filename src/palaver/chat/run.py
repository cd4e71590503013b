"""The only loop: asks what is next, does it, writes it down before it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby
from typing import Literal

from palaver.chat.decide import AwaitUser, next_step
from palaver.core.events import CallDelta, Event, MessageDone, Prefill, ReasoningDelta, TextDelta
from palaver.core.generation import Sampling
from palaver.core.log import Log, Row, visible
from palaver.core.model import Model
from palaver.core.tool import ToolSpec

FRAME = 0.025  # seconds between repaints; deltas that come in one frame are one row on disk

Show = Callable[[Sequence[Event]], None]


async def run_turn(
    log: Log, model: Model, tools: Sequence[ToolSpec], sampling: Sampling, show: Show
) -> AwaitUser:
    """Work until the user has to say something again.

    `show` gets events a frame at a time, each after it was written to disk. Raises what
    `Model.respond` raises; the part of an answer that had come is stored then.
    """
    while True:
        rows = await log.path()
        step = next_step(rows)
        if isinstance(step, AwaitUser):
            return step
        if await take(log, model.respond(visible(rows), tools, sampling), show) is None:
            return AwaitUser("unanswered")  # cancelled before the first word: not asked again


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
                await asyncio.sleep(max(0.0, FRAME - (time.perf_counter() - began)))
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
        self._over = False

    async def read(self, answer: AsyncIterator[Event]) -> None:
        try:
            async for event in answer:
                self._events.append(event)
                self._news.set()
        finally:
            self._over = True
            self._news.set()

    async def next(self) -> list[Event]:
        """Return what has come since, at least one event; an empty list at the end."""
        while not self._events and not self._over:
            self._news.clear()
            await self._news.wait()
        events, self._events = self._events, []
        return events


async def _write(log: Log, events: Sequence[Event]) -> Row | None:
    """Journal a frame's deltas, joined by kind; store the message if it is complete."""
    deltas = [e for e in events if isinstance(e, TextDelta | ReasoningDelta | CallDelta)]
    for delta, run in groupby(deltas, type):
        await log.journal(_KINDS[delta], "".join(map(_journalled, run)))
    last = events[-1]
    if isinstance(last, MessageDone) and (last.message.parts or last.message.stop == "end"):
        return await log.append(last.message, last.generation)
    return None


_KINDS: dict[type, Literal["text", "reasoning", "call"]] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    CallDelta: "call",
}


def _journalled(event: TextDelta | ReasoningDelta | CallDelta) -> str:
    if isinstance(event, CallDelta):
        return (f"\n{event.name} " if event.name else "") + event.arguments
    return event.text

"""Runs the calls of an answer: asks, writes down that one begins, runs it, writes its result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from palaver.chat.calls import Call, open_calls, wholes
from palaver.chat.cut import LONGEST, cut
from palaver.chat.decide import ROUNDS, Ask, Refuse, Rules, RunTools
from palaver.chat.fit import LEAST, room, surely
from palaver.chat.front import Front, Question
from palaver.chat.running import Running
from palaver.core.events import ToolFinished, ToolStarted
from palaver.core.log import Approval, CallStarted, Log, Row
from palaver.core.messages import Message, Stop, ToolCall, ToolResult
from palaver.core.model import Model
from palaver.core.tool import Toolbox, ToolContext, ToolError, ToolSpec

READER = "read_file"  # the tool that reads on in a result that was cut
MOST = 20_000  # characters of a result that a model gets, whatever its context
LEFT = "not run: the user said something else"
STOPPED = "not run: the user stopped the turn"


@dataclass
class Workshop:
    """What calls are run with: the tools, the folder, and what bounds them.

    A turn may use tools `rounds` times; `context` is the model's, as far as that is known.
    """

    tools: Toolbox
    root: Path
    rounds: int = ROUNDS
    context: int | None = None

    @property
    def longest(self) -> int:
        """How many characters of a result the model gets: about a quarter of its context."""
        return MOST if self.context is None else min(MOST, max(500, self.context))

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of the tools."""
        return self.tools.specs

    @property
    def rules(self) -> Rules:
        """What `next_step` decides by."""
        reads = frozenset(spec.name for spec in self.specs if spec.reads)
        return Rules(self.tools.judge, reads, self.rounds)


class Worker:
    """Does what `next_step` says of calls, for one log and front end."""

    def __init__(self, log: Log, shop: Workshop, front: Front, model: Model | None = None) -> None:
        """Without a `model` nobody looks whether results fit into its context."""
        self._log = log
        self._model = model
        self._shop = shop
        self._front = front

    async def prepare(self, rows: Sequence[Row]) -> None:
        """Let hooks see the calls that have no result yet; stops where the user stops the turn."""
        calls = [call.call for call in open_calls(rows) if not call.call.error]
        if not calls or self._front.halt.is_set():
            await self._shop.tools.prepare([])  # what was open is not any more
            return
        prepared = asyncio.ensure_future(self._shop.tools.prepare(calls))
        try:
            await self._unless_halted({prepared})
            if prepared.done():
                prepared.result()
        finally:
            await _ended({prepared})

    async def ask(self, step: Ask) -> None:
        """Put a call to the user and write their answer down, unless they stop the turn."""
        try:
            preview = await self._shop.tools.preview(step.call, await self._context())
        except ToolError as error:
            await self._finish(step.call, str(error))
            return
        question = Question(
            step.call, preview, step.reason, step.always, step.interrupted, step.printed
        )
        asked = asyncio.ensure_future(self._front.ask(question))
        await self._unless_halted({asked})
        if self._front.halt.is_set():
            await _ended({asked})
            return
        said = asked.result()
        digest = question.digest if said.allowed else ""
        await self._log.append(Approval(step.call.id, said.allowed, said.by, digest, said.reason))

    async def refuse(self, step: Refuse) -> None:
        """Give a call that does not run its result."""
        await self._finish(step.call, step.reason)

    async def run(self, step: RunTools) -> None:
        """Run the calls side by side; returns when each has its result, or was stopped."""
        running: dict[asyncio.Task[ToolResult], Running] = {}
        try:
            for call in step.calls:
                if not await self._as_shown(call):
                    await self._finish(
                        call.call, "not run: what it would do has changed since it was allowed"
                    )
                    continue
                run = await self._begin(call.call)
                context = await self._context(run.emit)
                running[asyncio.create_task(self._shop.tools.run(call.call, context))] = run
            while running:
                await self._unless_halted(running)
                for task in [task for task in running if task.done()]:
                    await self._done(running.pop(task), task.result())
                if self._front.halt.is_set():
                    await self._stop(running)
        finally:
            await _ended(running)
            await asyncio.gather(*(run.over() for run in running.values()), return_exceptions=True)

    async def _begin(self, call: ToolCall) -> Running:
        """Write down, and show, that a call begins."""
        changes = await self._shop.tools.changes(call, await self._context())
        root = str(self._shop.root) if changes else ""
        row = await self._log.append(CallStarted(call.id, call.name, root, changes))
        self._front.show([ToolStarted(call)])
        return Running(call, row, self._log, self._front)

    async def _stop(self, running: dict[asyncio.Task[ToolResult], Running]) -> None:
        """End what runs; what was done all the same keeps its result."""
        await _ended(running)
        left = len(open_calls(await self._log.path()))
        for task, run in running.items():
            left -= 1
            result = await run.stopped() if task.cancelled() else task.result()
            await self._done(run, result, None if left else "cancelled")
        running.clear()

    async def _done(self, run: Running, result: ToolResult, stop: Stop | None = None) -> None:
        await run.over()
        await self._write(result, time.monotonic() - run.began, stop)

    async def _finish(self, call: ToolCall, text: str, stop: Stop | None = None) -> None:
        """Write the result of a call that did not run."""
        await self._write(ToolResult(call.id, call.name, text, failed=True), 0.0, stop)

    async def close(self, why: str, stop: Stop | None = None) -> None:
        """Give every call that has no result one; `stop` is that of the last."""
        left = open_calls(await self._log.path())
        for call in left:
            text = call.lost() if call.started else why
            await self._finish(call.call, text, stop if call is left[-1] else None)

    async def _write(self, result: ToolResult, seconds: float, stop: Stop | None = None) -> None:
        rows = await self._log.path()
        longest = await self._longest(rows, result)
        if len(result.text) > longest:
            whole = cut(result.text, LONGEST, "", None)
            handle = str(len(wholes(rows)) + 1)
            known = any(spec.name == READER for spec in self._shop.tools.specs)
            text = cut(whole, longest, handle, READER if known else None)
            result = structs.replace(result, text=text, whole=whole)
        await self._log.append(Message("tool", (result,), stop))
        self._front.show([ToolFinished(result, seconds)])

    async def _longest(self, rows: Sequence[Row], result: ToolResult) -> int:
        """Return how many characters of a result the model gets."""
        text = result.text[: self._shop.longest]
        if self._model is None or len(text) <= LEAST or surely(rows, result, self._shop.context):
            return self._shop.longest
        others = [call.call for call in open_calls(rows) if call.call.id != result.call_id]
        short = structs.replace(result, text=text)
        fits = await room(self._model, self._shop.specs, rows, short, others)
        return self._shop.longest if fits is None else fits

    async def _as_shown(self, call: Call) -> bool:
        """Say whether a call that the user allowed would still do what they were shown."""
        if call.approval is None:
            return True
        try:
            preview = await self._shop.tools.preview(call.call, await self._context())
        except ToolError:
            return False
        return Question(call.call, preview, "").digest == call.approval.digest

    async def _context(self, emit: Callable[[str], None] | None = None) -> ToolContext:
        kept = wholes(await self._log.path())

        def whole(handle: str) -> str:
            if not (handle.isdecimal() and 0 < int(handle) <= len(kept)):
                raise KeyError(handle)
            return kept[int(handle) - 1]

        return ToolContext(self._shop.root, emit or (lambda _text: None), whole)

    async def _unless_halted(self, tasks: Iterable[asyncio.Future[Any]]) -> None:
        halt = asyncio.ensure_future(self._front.halt.wait())
        try:
            await asyncio.wait({*tasks, halt}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            halt.cancel()


async def _ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

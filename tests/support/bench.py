"""A turn's surroundings in memory: a log, a model with given answers, tools that note calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from palaver.chat import run
from palaver.chat.decide import AwaitUser
from palaver.chat.front import Answer, Front, Question
from palaver.chat.work import Workshop
from palaver.core.errors import UserError
from palaver.core.events import Event, MessageDone
from palaver.core.generation import Generation, Sampling
from palaver.core.log import Entry, Row
from palaver.core.messages import Message, Text, ToolCall, ToolResult
from palaver.core.model import Count
from palaver.core.tool import Allow, Ask, ToolContext, ToolError, ToolSpec, Verdict
from palaver.tools.toolbox import Box

FREE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": []}


class Probe:
    """A tool that notes when it ran."""

    def __init__(self, name: str, *, reads: bool = False) -> None:
        self.spec = ToolSpec(name, "a probe", FREE, reads)
        self.ran: list[int] = []
        self.running = self.most = self.ended = 0

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        number = arguments.get("n", 0)
        self.ran.append(number)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if number == 13:
                raise ToolError("error: bad luck")
            if number == 14:
                raise ZeroDivisionError("our fault")
            if number == 99:
                ctx.emit("half a line")
                await asyncio.sleep(60)
            while number == 30 and not self.ended:  # noqa: ASYNC110 - one that runs beside it ends it
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.001)
            if number == 60:
                return "\n".join(f"line {n}" for n in range(100)) + " " * 1000
            return "x" * 5000 if number == 50 else f"did {number}"
        finally:
            self.running -= 1
            self.ended += 1

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        if arguments.get("n") == 17:
            raise ToolError("error: it would fail")
        return f"{self.spec.name} {arguments}"


class Killed(BaseException):
    """Stands for kill -9: nothing after it is written."""


class Paper:
    """A log in memory; `dies_at` ends the program with that append."""

    def __init__(self, *entries: Entry) -> None:
        self.rows = [Row(i, 1, None, 0.0, entry) for i, entry in enumerate(entries)]
        self.left: int | None = None
        self.output: list[tuple[int, str]] = []

    async def path(self) -> list[Row]:
        return list(self.rows)

    async def append(self, entry: Entry, generation: Generation | None = None) -> Row:
        await asyncio.sleep(0)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        self.rows.append(Row(len(self.rows), 1, None, 0.0, entry, generation))
        return self.rows[-1]

    async def journal(self, kind: str, text: str) -> None:
        await asyncio.sleep(0)

    async def printed(self, begun: Row, text: str) -> None:
        await asyncio.sleep(0)
        self.output.append((begun.id, text))

    def entries(self, kind: type) -> list[Any]:
        return [row.entry for row in self.rows if isinstance(row.entry, kind)]

    def results(self) -> list[ToolResult]:
        return [p for m in self.entries(Message) for p in m.parts if isinstance(p, ToolResult)]


class Script:
    """A model that gives these answers, then says "done"."""

    name = "script"

    def __init__(self, *answers: Message, refuses_typed: bool = False) -> None:
        self._answers = list(answers)
        self.seen: list[list[Message]] = []
        self._refuses = refuses_typed

    async def respond(self, rows: Sequence[Row], tools: object, sampling: object):
        self.seen.append([row.entry for row in rows])
        await asyncio.sleep(0)
        answer = self._answers.pop(0) if self._answers else said("done")
        yield MessageDone(answer, Generation("e", "m"))

    async def count(self, rows: Sequence[Row], tools: object) -> Count:
        if self._refuses:
            raise UserError("roles must alternate")
        return Count(1, 100, True)


def said(text: str) -> Message:
    return Message("assistant", (Text(text),), "end")


def calls(*made: tuple[str, int] | ToolCall, stop: Any = "end") -> Message:
    parts = [
        m if isinstance(m, ToolCall) else ToolCall(f"call_{i}", m[0], json.dumps({"n": m[1]}))
        for i, m in enumerate(made, 1)
    ]
    return Message("assistant", tuple(parts), stop)


class Judged(Box):
    """Tools that ask before they change anything, or never."""

    def __init__(self, tools: list[Probe], asks: bool) -> None:
        super().__init__(tools)
        self._asks = asks

    def judge(self, call: ToolCall) -> Verdict:
        found = super().judge(call)
        asks = self._asks and call.name == "change"
        return Ask("it changes things") if asks and isinstance(found, Allow) else found


class Bench:
    """A log, tools "look" and "change", and a user who answers as told."""

    def __init__(self, log: Paper, *, answer: Answer | None = None, asks: bool = False) -> None:
        self.log = log
        self.look, self.change = Probe("look", reads=True), Probe("change")
        self.asked: list[Question] = []
        self.events: list[Event] = []
        self.answer = answer or Answer(allowed=True)

        self.shop = Workshop(Judged([self.look, self.change], asks), Path("/"), context=1000)

        async def ask(question: Question) -> Answer:
            self.asked.append(question)
            return self.answer

        self.front = Front(self.events.extend, ask)

    def turn(self, model: Script, **given: Any) -> AwaitUser:
        async def work() -> AwaitUser:
            return await run.run_turn(self.log, model, self.shop, Sampling(), self.front, **given)

        return asyncio.run(work())


def texts(log: Paper) -> list[str]:
    return [result.text for result in log.results()]

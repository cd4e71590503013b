"""A conversation with a real model, without a store: rows on one path, kept in a list."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.engines import start
from tests.support.gguf import Kind

from palaver.core.errors import EngineError
from palaver.core.events import Event, MessageDone
from palaver.core.generation import Generation, Sampling
from palaver.core.log import Entry, Row, visible
from palaver.core.messages import system, user
from palaver.core.model import Cost
from palaver.formats.template import TemplateFormat
from palaver.models.kv import States
from palaver.models.local import LocalModel

LONG = " ".join(f"word{i}" for i in range(60))


async def load(
    folder: Path, kind: Kind = "llama", limit: int = 1 << 30, **given: Any
) -> LocalModel:
    """Load a tiny model with its own template and states in `folder`."""
    return local(await start(folder, kind, **given), folder, limit)


def local(engine: Any, folder: Path, limit: int = 1 << 30) -> LocalModel:
    """Join an engine to its model's template."""
    file = engine.file
    date = datetime.date(2026, 11, 20)
    fmt = TemplateFormat(file.template, file.bos, file.eos, file.control, date=date)
    return LocalModel(engine, fmt, States(folder / "kv", engine.info.fingerprint, limit))


@asynccontextmanager
async def loaded(folder: Path, kind: Kind = "llama", **given: Any) -> AsyncIterator[LocalModel]:
    """Load a model and end it."""
    model = await load(folder, kind, **given)
    try:
        yield model
    finally:
        await model.close()


class Talk:
    """One conversation. `last` is how the newest answer came to be, `cost` what was said before."""

    def __init__(self, model: LocalModel, rows: list[Row] | None = None, head: str = "") -> None:
        self.model = model
        self.rows = list(rows or [])
        self.events: list[Event] = []
        self.cost: Cost | None = None
        self._next = max((row.id for row in self.rows), default=0) + 1000
        if head:
            self.add(system(head))

    def add(self, entry: Entry, generation: Generation | None = None) -> Row:
        """Add an entry after the newest."""
        self._next += 1
        parent = self.rows[-1].id if self.rows else None
        self.rows.append(Row(self._next, 1, parent, 0.0, entry, generation))
        return self.rows[-1]

    def branch(self, keep: int) -> Talk:
        """Return a conversation that goes on after the first `keep` rows."""
        made = Talk(self.model, self.rows[:keep])
        made._next = self._next + 1000
        return made

    async def ask(self, text: str, **sampling: Any) -> Generation:
        """Say something; note what it was said to cost; answer."""
        self.cost = await self.model.cost(visible(self.rows), (), text)
        self.add(user(text))
        return await self.answer(**sampling)

    async def answer(self, **sampling: Any) -> Generation:
        """Let the model answer what the log ends with."""
        given = Sampling(**{"max_tokens": 16, "temperature": 1.0, "seed": 5} | sampling)
        return await self._take(self.model.respond(visible(self.rows), (), given))

    async def carry_on(self, **sampling: Any) -> Generation:
        """Go on with the answer that the log ends with; the new one stands in its place."""
        given = Sampling(**{"max_tokens": 16, "temperature": 0.0} | sampling)
        answer = self.model.carry_on(visible(self.rows), (), given)
        self.rows, old = self.rows[:-1], self.rows[-1]
        try:
            return await self._take(answer)
        except EngineError:
            self.rows = [*self.rows, old] if self.rows[-1] is not old else self.rows
            raise

    async def _take(self, answer: AsyncIterator[Event]) -> Generation:
        self.events = []
        try:
            async for event in answer:
                self.events.append(event)
        finally:
            if self.events and isinstance(self.events[-1], MessageDone):
                self.add(self.events[-1].message, self.events[-1].generation)
        return self.last

    @property
    def last(self) -> Generation:
        """How the newest answer came to be."""
        made = next(row.generation for row in reversed(self.rows) if row.generation)
        assert made is not None
        return made

    def as_said(self) -> bool:
        """Say whether the answer reused what the estimate promised, or more."""
        assert self.cost is not None
        timings = self.last.timings
        assert timings.reused + timings.prefilled == self.cost.reused + self.cost.prefill
        return timings.reused >= self.cost.reused

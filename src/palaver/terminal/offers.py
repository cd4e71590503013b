"""Commands that an answer proposes, for models without tool calls: lines that begin with `CMD: `.

Each is a call of the tool `shell`, judged, asked about and run as one, in the sandbox; what it
gave begins the user's next message, as what their own commands print does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from palaver.chat.calls import calls_of
from palaver.chat.decide import Ask, Refuse, RunTools, next_step
from palaver.chat.work import STOPPED, Worker
from palaver.core.events import StateChanged
from palaver.core.generation import Generation
from palaver.core.log import CallStarted, Entry, Notice, Row
from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.core.model import Model
from palaver.terminal import own

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller

PREFIX = "CMD: "
_CONTRACT = f'To have a command run, write it on a line of its own that begins with "{PREFIX}".'


def told(chat: Controller) -> str | None:
    """Return the system prompt of a new session, with what the model has to know of offers."""
    parts = [chat.settings.system, _CONTRACT if chat.flags.get("cmd") else None]
    return "\n\n".join(part for part in parts if part) or None


def commands(text: str) -> list[str]:
    """Return the commands that a text proposes."""
    lines = [line.removeprefix(PREFIX) for line in text.split("\n") if line.startswith(PREFIX)]
    return [line.strip() for line in lines if line.strip()]


async def put(chat: Controller) -> None:
    """Offer what a new answer proposes."""
    answer, chat.tooling.answered = chat.tooling.answered, None
    if not (chat.flags.get("cmd") and answer and isinstance(answer.entry, Message)):
        return
    if lines := commands(answer.entry.text):
        await chat.work(partial(_run, chat, lines))


async def _run(chat: Controller, lines: Sequence[str], _model: Model) -> None:
    """Run commands one after the other, as far as the user lets them, until they stop it."""
    front, shop = chat.tooling.front, chat.tooling.programs()
    front.show([StateChanged("awaiting tool")])
    for line in lines:
        log = _Aside(chat, line)
        worker = Worker(log, shop, front)
        while log.result is None:
            await worker.prepare(log.rows)
            step = next_step(log.rows, shop.rules)
            if front.halt.is_set():
                await worker.close(STOPPED)
            elif isinstance(step, Ask):
                await worker.ask(step)
            elif isinstance(step, RunTools):
                await worker.run(step)
            elif isinstance(step, Refuse):
                await worker.refuse(step)
        result = log.result
        await own.share(
            chat, line, result.text, f"changed {result.changed}" if result.changed else ""
        )
        if front.halt.is_set():
            return


class _Aside:
    """The log of one such call: the session's own log has only that it began, and its end."""

    def __init__(self, chat: Controller, line: str) -> None:
        self.rows: list[Row] = []
        self._conversation, self._line = chat.conversation, line
        self._begun: Row | None = None
        call = ToolCall("cmd", "shell", json.dumps({"command": line}))
        self._add(Message("assistant", (call,), "end"))

    @property
    def result(self) -> ToolResult | None:
        """What the call gave; None as long as it has not ended."""
        (call,) = calls_of(self.rows)[-1]
        return call.result

    def _add(self, entry: Entry) -> Row:
        row = Row(len(self.rows) + 1, 0, len(self.rows) or None, 0.0, entry)
        self.rows.append(row)
        return row

    async def path(self) -> list[Row]:
        return list(self.rows)

    async def append(self, entry: Entry, generation: Generation | None = None) -> Row:
        if isinstance(entry, CallStarted):
            begun = Notice("info", f"{PREFIX}{self._line} was begun")
            self._begun = await self._conversation.append(begun)
        return self._add(entry)

    async def journal(self, kind: Literal["text", "reasoning", "call"], text: str) -> None:
        """Nothing is generated here."""

    async def printed(self, _begun: Row, text: str) -> None:
        if self._begun:
            await self._conversation.printed(self._begun, text)

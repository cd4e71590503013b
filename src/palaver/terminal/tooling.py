"""The tools of a chat: which are on, turns with them, questions before they run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from palaver import assemble
from palaver.chat.calls import open_calls
from palaver.chat.decide import AwaitUser, Generate, next_step
from palaver.chat.front import Answer, Front, Question
from palaver.chat.run import run_turn
from palaver.chat.work import Worker, Workshop
from palaver.core.tool import ToolSpec
from palaver.models.local import LocalModel

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller

OPEN = "a tool call has no result yet: /continue goes on with it, saying something leaves it"
ROUNDS = "the rounds of tools of a turn are used up; say something to go on"
_LEFT = "not run: the user said something else"


class Tooling:
    """What a chat does with tools."""

    def __init__(self, chat: Controller, halt: asyncio.Event) -> None:
        """`halt` is set when the user stops what is under way."""
        self._chat = chat
        self._front = Front(self._chat.screen.show, self._ask, halt=halt)
        self._shop: tuple[object, Workshop] | None = None

    @property
    def shop(self) -> Workshop:
        """The tools that are on for the model that is loaded; none before one is."""
        chat = self._chat
        known = (chat.model, chat.settings.tools, chat.settings.max_tool_rounds)
        if self._shop is None or self._shop[0] != known:
            self._shop = known, assemble.workshop(chat.settings, chat.model, Path.cwd())
        return self._shop[1]

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of the tools."""
        return self.shop.specs

    async def turn(self, model: LocalModel, *, again: bool = False) -> None:
        """Let the model work until the user has to say something."""
        chat = self._chat
        ended = await run_turn(
            chat.conversation, model, self.shop, chat.sampling, self._front, again=again
        )
        if ended.why == "tool rounds":
            chat.screen.note(ROUNDS)

    async def leave_open(self) -> None:
        """Give calls that have no result one, before the user says something else."""
        if open_calls(self._chat.conversation.rows):
            front = Front(lambda _events: None)
            await Worker(self._chat.conversation, self.shop, front).close(_LEFT)

    def waits(self) -> bool:
        """Say whether the log ends with calls that have no result."""
        step = next_step(self._chat.conversation.rows, self.shop.rules)
        return not isinstance(step, AwaitUser | Generate)

    def stopped(self) -> bool:
        """Say whether the log ends where the user stopped a tool."""
        return next_step(self._chat.conversation.rows) == AwaitUser("stopped")

    async def _ask(self, question: Question) -> Answer:
        return await self._chat.screen.ask(question)

"""The tools of a chat: which are on, turns with them, questions before they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from palaver import assemble
from palaver.chat.calls import open_calls
from palaver.chat.decide import AwaitUser, Generate, next_step
from palaver.chat.front import Answer, Front, Question
from palaver.chat.run import run_turn, take
from palaver.chat.work import LEFT, Worker, Workshop
from palaver.config import paths
from palaver.core.errors import UserError
from palaver.core.events import Event
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.core.model import Opened
from palaver.core.tool import ToolSpec
from palaver.terminal.escape import visible
from palaver.terminal.lines import GO_ON, UNANSWERED, spoken
from palaver.terminal.words import plural
from palaver.tools import chosen, toolbox
from palaver.tools.patch import PatchError, recover

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller
    from palaver.tools.guard import Guard
    from palaver.tools.hooks import Hooks
    from palaver.tools.sandbox.policy import Kind
    from palaver.tools.sandbox.sandbox import OpenSandbox

RESULTS = "the results of a tool were not answered", f"{GO_ON}, /undo takes the turn back"
OPEN = "a tool call has no result yet", f"{GO_ON} with it, saying something leaves it"
ROUNDS = "the rounds of tools of a turn are used up; say something to go on"
_BARE = "NO SANDBOX: programs that the model starts can do all that you can"


class Tooling:
    """What a chat does with tools."""

    def __init__(self, chat: Controller, halt: asyncio.Event) -> None:
        """`halt` is set when the user stops what is under way."""
        self._chat = chat
        self.front = Front(chat.screen.show, self._ask, self._typed, chat.screen.sent, halt=halt)
        self._shop: tuple[object, Workshop] | None = None
        self._root = self.folder = self.left = paths.here()  # of tools; of the user's own commands
        self._sandboxed = not chat.flags.get("no_sandbox")
        self.sandbox: OpenSandbox | None = None
        self._guard: Guard | None = None
        self._hooks: Hooks | None = None
        self._heard = 0  # the session that the guard knows
        self.answered: Row | None = None  # the newest turn's answer, until it was looked at

    def open(self) -> None:
        """Read the user's rules. Raises UserError for what is wrong in them or in the settings."""
        chat = self._chat
        chosen.names(chat.settings.tools)
        self._hooks = assemble.open_hooks()
        self._guard = assemble.open_guard(
            self._root,
            preset=chat.flags.get("consent"),
            asks=lambda: chat.screen.asks,
            sandboxed=self._sandboxed,
        )
        if self._guard.note:
            chat.screen.note(visible(self._guard.note))
        if not self._sandboxed:
            chat.screen.note(_BARE)

    @property
    def guard(self) -> Guard:
        """What judges calls."""
        if self._guard is None:
            raise UserError("the rules of consent were not read yet")
        return self._guard

    @property
    def shop(self) -> Workshop:
        """The tools that are on for the model that is loaded; none before one is."""
        chat = self._chat
        known = (chat.model, chat.settings.tools, chat.settings.max_tool_rounds)
        if self._shop is None or self._shop[0] != known:
            wanted = chosen.names(chat.settings.tools)
            if not set(chosen.PROGRAMS).isdisjoint(wanted):
                self._open_sandbox()
            shop = assemble.workshop(
                chat.settings, chat.model, self._root, self.guard, self.sandbox, self._hooks
            )
            self._shop = known, shop
        return self._shop[1]

    def programs(self) -> Workshop:
        """Return the shell alone, whichever tools are on: for what an answer proposes."""
        tools, sandbox = toolbox.load(["shell"]), self._open_sandbox()
        box = assemble.open_box(tools, self._root, self.guard, sandbox, self._hooks)
        return Workshop(box, self._root, context=self.shop.context)

    def _open_sandbox(self) -> OpenSandbox:
        if self.sandbox is None:
            kind: Kind = "auto" if self._sandboxed else "none"
            self.sandbox = assemble.open_sandbox(self._root, kind=kind)
        return self.sandbox

    @property
    def root(self) -> Path:
        """The folder that tools work in."""
        return self._root

    async def move(self, root: Path) -> None:
        """Let tools work in another folder, by the rules that hold there; what ran is ended."""
        await self.forget()
        self._root = self.folder = root
        self._heard = 0
        self.open()

    async def forget(self) -> None:
        """End what ran for a session: its variables are no other's business."""
        await self.close()
        self.sandbox = self._shop = None

    async def close(self) -> None:
        """End what tools still run."""
        if self.sandbox:
            await self.sandbox.close()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of the tools."""
        return self.shop.specs

    def limits(self) -> list[str]:
        """Say what holds the tools in their place, for the user."""
        lines = [f"folder: {visible(str(self._root), newlines=False)}"]
        times = plural(self.shop.rounds, "time")
        lines.append(f"consent: {self.guard.preset}, a turn uses tools {times} at most")
        if self.sandbox:
            lines.append(f"programs run in: {self.sandbox.describe()}")
        return lines

    async def turn(self, model: Opened, *, again: bool = False) -> None:
        """Let the model work until the user has to say something."""
        chat = self._chat
        self._hear()
        ended = await run_turn(
            chat.conversation, model, self.shop, chat.sampling, self.front, again=again
        )
        if ended.why == "tool rounds":
            chat.screen.note(ROUNDS)
        self.answered = chat.conversation.rows[-1] if ended.why == "answered" else None

    async def carry_on(self, model: Opened, *, view: list[Row]) -> None:
        """Go on with the cut-off answer that the view ends with, then with the turn."""
        chat, conversation = self._chat, self._chat.conversation
        answer = model.carry_on(view, self.specs, chat.sampling)
        first = await anext(answer)  # what can't be gone on with fails here, nothing moved
        try:
            await conversation.stand_in(view[-1])
            await take(conversation, _chain(first, answer), chat.screen.show)
        finally:
            conversation.stand_back()
        await self.turn(model)

    async def leave_open(self) -> None:
        """Give calls that have no result one, before the user says something else."""
        if open_calls(self._chat.conversation.rows):
            front = Front(lambda _events: None)
            await Worker(self._chat.conversation, self.shop, front).close(LEFT)

    def unanswered(self) -> tuple[str, str]:
        """Say what is so where the log ends with something unanswered, and how to go on."""
        view = self._chat.conversation.view
        last = view[-1].entry if view else None
        return RESULTS if isinstance(last, Message) and last.role == "tool" else UNANSWERED

    def recover(self) -> None:
        """Put back what a patch that was killed left half done, before anybody asks about it."""
        rows, screen = self._chat.conversation.rows, self._chat.screen
        for root in assemble.cut_patches(rows):
            try:
                for line in recover(root):
                    screen.note(visible(f"{root}: {line}"))
            except PatchError as error:
                screen.error(error)

    def waits(self) -> bool:
        """Say whether the log ends with calls that have no result."""
        step = next_step(self._chat.conversation.rows, self.shop.rules)
        return not isinstance(step, AwaitUser | Generate)

    def stopped(self) -> bool:
        """Say whether the log ends where the user stopped a tool."""
        return next_step(self._chat.conversation.rows) == AwaitUser("stopped")

    def _typed(self) -> str | None:
        line = self._chat.screen.typed()
        return None if line is None else spoken(self._chat, line)

    def _hear(self) -> None:
        """Let the guard know what a session that is gone on with has read."""
        conversation = self._chat.conversation
        if self._heard == conversation.session:
            return
        self._heard = conversation.session
        assemble.hear(self.guard, conversation.rows, self._chat.settings.tools)

    async def _ask(self, question: Question) -> Answer:
        """Ask the user; an answer that lasts becomes a rule, which they are shown."""
        screen = self._chat.screen
        answer = await screen.ask(question)
        if answer.allowed and answer.by != "once":
            always = answer.by == "always"
            rule = self.shop.tools.remember(question.call, always=always)
            if rule:
                where = "written to the config" if always else "until palaver ends"
                screen.note(f"allowed from now on, {where}:\n{visible(rule.rstrip())}")
        return answer


async def _chain(first: Event, rest: AsyncIterator[Event]) -> AsyncIterator[Event]:
    yield first
    async for event in rest:
        yield event

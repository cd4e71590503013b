"""Tools of sessions that are talked to over HTTP: off, unless the server was started with some."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from palaver import assemble
from palaver.chat.work import Workshop
from palaver.config.settings import Settings
from palaver.core.log import Row
from palaver.core.messages import ToolCall
from palaver.core.model import Opened
from palaver.server.errors import server_ends
from palaver.server.service import Service
from palaver.server.sessions.seat import Seat
from palaver.tools import chosen
from palaver.tools.guard import Guard
from palaver.tools.patch import PatchError, recover
from palaver.tools.python import TOOL, Python
from palaver.tools.sandbox.policy import Kind
from palaver.tools.sandbox.sandbox import OpenSandbox

_LOOK = 0.1  # seconds between two looks at a model that is loading


class ToolPolicy(Struct, frozen=True):
    """What the server's owner allows: which tools, by which preset of consent, in a sandbox."""

    tools: str = "off"
    consent: str | None = None
    sandboxed: bool = True


class Bench:
    """What the tools of all sessions share: the folder, the sandbox, the owner's policy."""

    def __init__(self, service: Service, settings: Settings, policy: ToolPolicy) -> None:
        """Raises UserError for tools or rules that can't be had."""
        self.service = service
        self.settings = dataclasses.replace(settings, tools=policy.tools)
        self.policy = policy
        self.root = Path.cwd()
        self.names = chosen.names(policy.tools)
        self.hooks = assemble.open_hooks() if self.names else None
        self._sandbox: OpenSandbox | None = None
        self.guard()  # what is wrong in the rules is said at the start

    @property
    def ending(self) -> bool:
        """Whether the server ends: turns under way may come to their end, none begins."""
        return self.service.state == "draining"

    def check(self) -> None:
        """Raise ApiError where no turn may begin any more."""
        if self.ending:
            raise server_ends()

    def guard(self, *, asks: bool = True) -> Guard:
        """Make what judges the calls of one session; `asks`: somebody can be asked.

        Raises UserError.
        """
        policy = self.policy
        return assemble.open_guard(
            self.root, preset=policy.consent, asks=lambda: asks, sandboxed=policy.sandboxed
        )

    def sandbox(self) -> OpenSandbox | None:
        """The sandbox that programs run in; none where no tool runs programs."""
        if self._sandbox is None and not set(chosen.PROGRAMS).isdisjoint(self.names):
            kind: Kind = "auto" if self.policy.sandboxed else "none"
            self._sandbox = assemble.open_sandbox(self.root, kind=kind)
        return self._sandbox

    async def close(self) -> None:
        """End what tools still run."""
        if self._sandbox:
            await self._sandbox.close()


class Tools:
    """The tools of one session; what its user allowed holds until the server ends."""

    def __init__(self, bench: Bench, *, asks: bool = True) -> None:
        """Where nobody can be asked (`asks`), what would need that does not run; and `python`
        keeps no variables: whose call is next is not known.
        """
        self._bench = bench
        self._guard = bench.guard(asks=asks)
        self._python = Python(stateful=asks)  # of its own: no other session sees its variables
        self._shop: Workshop | None = None

    @property
    def ending(self) -> bool:
        """Whether the server ends."""
        return self._bench.ending

    @property
    def loading(self) -> bool:
        """Whether the model is not there yet."""
        return self._bench.service.state == "loading"

    async def seat(self, began: float, client: str, halt: asyncio.Event) -> Seat | None:
        """Return the model once it is loaded; None where the user stops waiting. ApiError."""
        service = self._bench.service
        while self.loading and not halt.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await halt.wait()
        if halt.is_set():
            return None
        return Seat(await service.alive(), service.metrics, began, client)

    def shop(self, model: Opened | None, rows: Sequence[Row]) -> Workshop:
        """Make the tools that are on for a model, which know what the conversation has read."""
        bench = self._bench
        if bench.names:
            assemble.hear(self._guard, rows, bench.policy.tools)
        known = chosen.tools(bench.settings.tools, knows=model.info.tools) if model else []
        tools = [self._python if tool is TOOL else tool for tool in known]
        box = assemble.open_box(tools, bench.root, self._guard, bench.sandbox(), bench.hooks)
        context = model.info.context if model else None
        self._shop = Workshop(box, bench.root, bench.settings.max_tool_rounds, context)
        return self._shop

    def remember(self, call: ToolCall, *, always: bool) -> str | None:
        """Allow a call from now on; return the rule."""
        return self._shop.tools.remember(call, always=always) if self._shop else None


def put_back(rows: Sequence[Row]) -> list[str]:
    """Put back what a patch that was killed left half done; return what there is to say of it."""
    lines: list[str] = []
    for root in assemble.cut_patches(rows):
        try:
            lines += [f"{root}: {line}" for line in recover(root)]
        except PatchError as error:
            lines.append(f"{root}: {error}")
    return lines

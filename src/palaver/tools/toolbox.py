"""The tools that are on, by name: a call's arguments are checked here, and its faults caught."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from palaver.core import scan
from palaver.core.errors import PalaverError, UserError
from palaver.core.log import FileChange
from palaver.core.messages import ToolCall, ToolResult
from palaver.core.process import Sandbox
from palaver.core.tool import (
    Allow,
    Changing,
    Deny,
    Preview,
    Tool,
    ToolContext,
    ToolError,
    ToolSpec,
    Verdict,
)
from palaver.tools import changed, restore
from palaver.tools.arguments import problem
from palaver.tools.guard import Guard

PACKAGE = "palaver.tools"
# In the order in which a model is told of them; a name is a file in this folder.
NAMES = (
    "python", "shell", "read_file", "list_files", "write_file", "search_files", "apply_patch",
)  # fmt: skip


def load(names: Sequence[str]) -> list[Tool]:
    """Import tools by name. Raises KeyError for one that there is not."""
    return [scan.load(PACKAGE, name, "TOOL") for name in names]


def different(tools: Iterable[Tool]) -> list[Tool]:
    """Return the tools. Raises UserError where two have one name."""
    found: dict[str, Tool] = {}
    for tool in tools:
        if tool.spec.name in found:
            raise UserError(
                f"there are two tools {tool.spec.name!r}", fix='name one: @tool(name="...")'
            )
        found[tool.spec.name] = tool
    return list(found.values())


class Box:
    """Tools that are on; implements `palaver.core.tool.Toolbox`."""

    def __init__(
        self, tools: Sequence[Tool], guard: Guard | None = None, sandbox: Sandbox | None = None
    ) -> None:
        """Without a `guard` every call that fits its tool may run; `sandbox` is for programs."""
        self._tools = {tool.spec.name: tool for tool in tools}
        self._guard = guard
        self._sandbox = sandbox

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of them."""
        return tuple(tool.spec for tool in self._tools.values())

    def judge(self, call: ToolCall) -> Verdict:
        """Say whether a call may run; Deny where there is no such tool or its arguments don't
        fit."""
        if wrong := self.unfit(call):
            return wrong
        return self._guard.judge(call, self._tools[call.name].spec) if self._guard else Allow()

    def unfit(self, call: ToolCall) -> Deny | None:
        """Say what is wrong with a call that no tool could run; None if nothing is."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return Deny(f"error: there is no tool {call.name!r}; there are: {known}")
        try:
            wrong = problem(parsed(call), tool.spec.parameters)
        except ToolError as error:
            return Deny(str(error))
        return Deny(f"error: {call.name}: {wrong}") if wrong else None

    async def prepare(self, calls: Sequence[ToolCall]) -> None:
        """Nothing has to be done before calls are judged; see `palaver.tools.hooks`."""

    async def preview(self, call: ToolCall, ctx: ToolContext) -> Preview:
        """Return what a call would do, whole. Raises ToolError where it would fail anyway."""
        verdict = self.judge(call)
        if isinstance(verdict, Deny):
            raise ToolError(verdict.reason)
        ctx = replace(ctx, sandbox=self._sandbox, network=verdict.network)
        text = await self._tools[call.name].preview(parsed(call), ctx)
        return self._guard.preview(call, text, verdict) if self._guard else Preview(text)

    async def changes(self, call: ToolCall, ctx: ToolContext) -> tuple[FileChange, ...]:
        """Return what a call will make of files, as far as that is known before it runs."""
        tool = self._tools[call.name]
        if not isinstance(tool, Changing):
            return ()
        try:
            found = await tool.changes(parsed(call), ctx)
            return tuple(restore.change(ctx.root, *one) for one in found)
        except ToolError:
            return ()  # the call will say why it can't be done

    def remember(self, call: ToolCall, *, always: bool) -> str | None:
        """Allow a call from now on, see `Guard.remember`."""
        if self._guard is None:
            return None
        return self._guard.remember(call, self._tools[call.name].spec, always=always)

    async def run(self, call: ToolCall, ctx: ToolContext) -> ToolResult:
        """Run a call. Whatever happens becomes its result; only being cancelled is raised."""
        tool = self._tools[call.name]
        if tool.spec.reads or isinstance(tool, Changing):
            return await self._run(call, ctx)
        before = await asyncio.to_thread(changed.look, ctx.root)
        result = await self._run(call, ctx)
        after = await asyncio.to_thread(changed.look, ctx.root)
        return structs.replace(result, changed=changed.difference(before, after))

    async def _run(self, call: ToolCall, ctx: ToolContext) -> ToolResult:
        verdict = self.judge(call)
        network = not isinstance(verdict, Deny) and verdict.network
        ctx = replace(ctx, sandbox=self._sandbox, network=network)
        try:
            text = await self._tools[call.name].call(parsed(call), ctx)
            return ToolResult(call.id, call.name, text)
        except (ToolError, PalaverError) as error:  # a sandbox that can't be had is a UserError
            return ToolResult(call.id, call.name, str(error), failed=True)
        except Exception as error:  # noqa: BLE001 - a tool that crashes ends no chat
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"error: {call.name} crashed: {type(error).__name__}: {error}"
            place = f" ({where.filename.rsplit('/', 1)[-1]}, line {where.lineno})"
            return ToolResult(call.id, call.name, text + place, failed=True)
        finally:
            if self._guard:
                self._guard.learn(call, self._tools[call.name].spec, network=network)


def parsed(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments. Raises ToolError where they are no JSON object."""
    try:
        value = json.loads(call.arguments or "{}", strict=False)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"error: {call.name}: the arguments are no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ToolError(f"error: {call.name}: the arguments must be a JSON object")
    return value

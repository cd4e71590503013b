"""The tools that are on, by name: a call's arguments are checked here, and its faults caught."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from palaver.core import scan
from palaver.core.errors import PalaverError
from palaver.core.messages import ToolCall, ToolResult
from palaver.core.tool import Deny, Tool, ToolContext, ToolError, ToolSpec, Verdict
from palaver.tools.arguments import problem

PACKAGE = "palaver.tools"
# In the order in which a model is told of them; a name is a file in this folder.
NAMES = ("read_file", "list_files", "search_files", "write_file", "apply_patch", "shell")
Judge = Callable[[ToolCall, ToolSpec], Verdict]


def load(names: Sequence[str]) -> list[Tool]:
    """Import tools by name. Raises KeyError for one that there is not."""
    return [scan.load(PACKAGE, name, "TOOL") for name in names]


class Box:
    """Tools that are on; implements `palaver.core.tool.Toolbox`."""

    def __init__(self, tools: Sequence[Tool], judge: Judge) -> None:
        """`judge` says whether a call that fits its tool may run."""
        self._tools = {tool.spec.name: tool for tool in tools}
        self._judge = judge

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of them."""
        return tuple(tool.spec for tool in self._tools.values())

    def judge(self, call: ToolCall) -> Verdict:
        """Say whether a call may run; Deny where there is no such tool or its arguments don't
        fit."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return Deny(f"error: there is no tool {call.name!r}; there are: {known}")
        try:
            arguments = parsed(call)
        except ToolError as error:
            return Deny(str(error))
        wrong = problem(arguments, tool.spec.parameters)
        return Deny(f"error: {call.name}: {wrong}") if wrong else self._judge(call, tool.spec)

    async def preview(self, call: ToolCall, ctx: ToolContext) -> str:
        """Return what a call would do, whole. Raises ToolError where it would fail anyway."""
        return await self._tools[call.name].preview(parsed(call), ctx)

    async def run(self, call: ToolCall, ctx: ToolContext) -> ToolResult:
        """Run a call. Whatever happens becomes its result; only being cancelled is raised."""
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


def parsed(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments. Raises ToolError where they are no JSON object."""
    try:
        value = json.loads(call.arguments or "{}", strict=False)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"error: {call.name}: the arguments are no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ToolError(f"error: {call.name}: the arguments must be a JSON object")
    return value

"""What a model is told of a tool, what a tool is, and whether a call of it may run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct, structs

from palaver.core.log import FileChange
from palaver.core.messages import ARGUMENTS, ToolCall, ToolResult
from palaver.core.process import Sandbox


class ToolSpec(Struct, frozen=True):
    """A tool's name, one-line description and the JSON Schema of its arguments (an object).

    `reads`: it changes nothing and sends nothing anywhere, so that calls of it may run side by
    side. `outward`: it sends something off this computer. A model is not told of these.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    reads: bool = False
    outward: bool = False


class ToolError(Exception):
    """A tool could not do what it was asked; the message is the call's result, for the model."""


@dataclass(frozen=True)
class ToolContext:
    """All that a tool may use of the program around it.

    `root` is the folder that the session works in. `emit` shows output while it comes.
    `whole` gives a result that was too long for the model, whole, by the handle that stood in
    its place; it raises KeyError for a handle that there is not. Programs run in `sandbox`, and
    reach the `network` if this call may.
    """

    root: Path
    emit: Callable[[str], None]
    whole: Callable[[str], str]
    sandbox: Sandbox | None = None
    network: bool = False


Changed = tuple[str, bytes | None, bytes | None]


class Tool(Protocol):
    """Something that a model may call. A file in `palaver.tools` ends in `TOOL = ...`."""

    spec: ToolSpec

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Do it; return what the model is told. `arguments` fit the schema in `spec`.

        Raises ToolError where it can't be done. Cancelling ends it, with all that it started,
        within two seconds. Any other exception is a fault of ours: it is logged as the result.
        """

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return what will happen, whole and exactly, for the user who is asked: a command, a
        diff. Raises ToolError where the call would fail anyway."""


@runtime_checkable
class Changing(Protocol):
    """A tool that knows before it runs what it will make of which files."""

    async def changes(self, arguments: dict[str, Any], ctx: ToolContext) -> list[Changed]:
        """Return the path, the old and the new content of each file; None is no file."""


_BARE = {"python": "code", "apply_patch": "patch"}


def readable(call: ToolCall) -> ToolCall:
    """Return a call as it is run: bare text that was to be its one argument put into JSON.

    Some models write code and patches so. What may be broken JSON stays as it is.
    """
    key, text = _BARE.get(call.name), call.arguments.lstrip()
    if key is None or not (call.error or "").startswith(ARGUMENTS) or text[:1] in ("", "{", "["):
        return call
    return structs.replace(call, arguments=json.dumps({key: call.arguments}), error=None)


class Allow(Struct, frozen=True, tag="allow"):
    """A call may run without a question; `reason` says which rule or preset has it so.

    `network`: it may use the network, which the sandbox keeps from it otherwise.
    """

    reason: str = ""
    network: bool = False


class Ask(Struct, frozen=True, tag="ask"):
    """A call may run if the user says so; `reason` says why they are asked, in a few words.

    `always` names what the rule would allow from then on, None where no rule should.
    """

    reason: str
    always: str | None = None
    network: bool = False


class Deny(Struct, frozen=True, tag="deny"):
    """A call may not run; the model is told the `reason`."""

    reason: str


Verdict = Allow | Ask | Deny


class Preview(Struct, frozen=True):
    """What a call would do, for the user who is asked; nothing in it is escaped.

    `text` is a command or a diff, whole. `notes` say what an eye may miss.
    """

    text: str
    title: str = ""
    notes: tuple[str, ...] = ()


class Toolbox(Protocol):
    """The tools that are on."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of them."""

    async def prepare(self, calls: Sequence[ToolCall]) -> None:
        """Do what has to be done once with each open call before it is judged; these are all."""

    def judge(self, call: ToolCall) -> Verdict:
        """Say whether a call may run; Deny where there is no such tool or its arguments don't
        fit."""

    async def preview(self, call: ToolCall, ctx: ToolContext) -> Preview:
        """Return what a call would do, whole. Raises ToolError where it would fail anyway."""

    async def changes(self, call: ToolCall, ctx: ToolContext) -> tuple[FileChange, ...]:
        """Return what a call will make of files, as far as that is known before it runs."""

    def remember(self, call: ToolCall, *, always: bool) -> str | None:
        """Allow a call from now on, for the session or for ever; return the rule, if there is
        one for such a call."""

    async def run(self, call: ToolCall, ctx: ToolContext) -> ToolResult:
        """Run a call. Whatever happens becomes its result; only being cancelled is raised."""

"""Runs a command line in the sandbox."""

from __future__ import annotations

import asyncio
from typing import Any

from palaver.core.process import Process, Sandbox
from palaver.core.tool import ToolContext, ToolError, ToolSpec
from palaver.tools.output import Output

SECONDS = 120.0
# Start-up files could say what a command means; consent has judged the line without them.
_SHELL = ("bash", "--noprofile", "--norc", "-c")


def sandbox_of(ctx: ToolContext) -> Sandbox:
    """Return the sandbox to run in. Raises ToolError where the session has none."""
    if ctx.sandbox is None:
        raise ToolError("error: no sandbox was opened for this session, so programs can't run")
    return ctx.sandbox


class Shell:
    """The tool `shell`."""

    spec = ToolSpec(
        "shell",
        "Run a command line in bash, in the session's folder; what it leaves running is ended.",
        {
            "type": "object",
            "properties": {"command": {"type": "string"}},
            "required": ["command"],
        },
    )

    def __init__(self, seconds: float = SECONDS) -> None:
        """`seconds` is how long a command may take."""
        self._seconds = seconds

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Run it; return its output, and how it ended if that was not exit code 0."""
        command = _command(arguments)
        output = Output(ctx.emit)
        process = await sandbox_of(ctx).start([*_SHELL, command], ctx.root, network=ctx.network)
        async with process:
            try:
                async with asyncio.timeout(self._seconds):
                    ended = await _follow(process, output)
            except TimeoutError:
                why = f"timed out after {self._seconds:g} seconds"
                raise ToolError(with_last_line(output.text(), why)) from None
        return (
            with_last_line(output.text(), "" if ended == "exit code 0" else ended) or "(no output)"
        )

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the command, exactly."""
        sandbox_of(ctx)
        return _command(arguments)


def _command(arguments: dict[str, Any]) -> str:
    command = str(arguments["command"])
    if "\0" in command:
        raise ToolError("error: a command can't hold a NUL character")
    return command


async def _follow(process: Process, output: Output) -> str:
    while data := await process.read():
        output.add(data)
    return str(await process.wait())


def with_last_line(text: str, last: str) -> str:
    """Put a line of ours below the output."""
    between = "\n" if text and last and not text.endswith("\n") else ""
    return text + between + last


TOOL = Shell()

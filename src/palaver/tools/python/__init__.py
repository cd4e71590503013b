"""Runs Python in the sandbox, in an interpreter that keeps its variables."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from palaver.core.process import Sandbox
from palaver.core.tool import ToolContext, ToolError, ToolSpec
from palaver.tools.output import Output
from palaver.tools.python.interpreter import Interpreter
from palaver.tools.shell import sandbox_of, with_last_line

SECONDS = 60.0
_RESET = "%reset"
_KEEPS = "Run Python. Variables stay until %reset; the value of the last expression is shown."
_FRESH = "Run Python, each time in a new interpreter; print what you want to see."


class Python:
    """The tool `python`."""

    def __init__(self, *, stateful: bool = True, seconds: float = SECONDS) -> None:
        """`seconds` is how long a run may take."""
        self.spec = ToolSpec(
            "python",
            _KEEPS if stateful else _FRESH,
            {
                "type": "object",
                "properties": {"code": {"type": "string"}},
                "required": ["code"],
            },
        )
        self._stateful = stateful
        self._seconds = seconds
        self._kept: WeakKeyDictionary[Sandbox, dict[bool, Interpreter]] = WeakKeyDictionary()

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Run the code; return what it printed. What it raises is printed, too."""
        code = str(arguments["code"])
        if code.strip() == _RESET:
            await self.reset(sandbox_of(ctx))
            return "(variables cleared)"
        output = Output(ctx.emit)
        interpreter = self._interpreter(ctx)
        try:
            await interpreter.run(code, output, self._seconds)
        except ToolError as error:
            raise ToolError(with_last_line(output.text(), str(error))) from None
        finally:
            if not self._stateful:
                await interpreter.end()
        return output.text() or "(no output)"

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the code, exactly."""
        sandbox_of(ctx)
        return str(arguments["code"])

    async def reset(self, sandbox: Sandbox) -> None:
        """Forget all variables of a session."""
        for interpreter in self._kept.pop(sandbox, {}).values():
            await interpreter.end()

    def _interpreter(self, ctx: ToolContext) -> Interpreter:
        """Return the session's interpreter; one that may use the network is another one."""
        sandbox = sandbox_of(ctx)
        kept = self._kept.setdefault(sandbox, {}) if self._stateful else {}
        if ctx.network not in kept:
            kept[ctx.network] = Interpreter(sandbox, ctx.root, network=ctx.network)
        return kept[ctx.network]


TOOL = Python()

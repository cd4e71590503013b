"""Tools that a client brings."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.core.tool import ToolSpec
from palaver.server.errors import ApiError
from palaver.server.openai.asked import Tool


def specs(tools: Sequence[Tool]) -> tuple[ToolSpec, ...]:
    """Return what the model is told of tools. Raises ApiError where two have one name."""
    made: dict[str, ToolSpec] = {}
    for i, tool in enumerate(tools):
        one = tool.function
        if one.name in made:
            param = f"tools[{i}].function.name"
            raise ApiError(f"{param}: there are two tools named {one.name!r}", param=param)
        parameters = one.parameters or {"type": "object", "properties": {}}
        made[one.name] = ToolSpec(one.name, one.description or "", parameters)
    return tuple(made.values())


def choose(
    tools: tuple[ToolSpec, ...], choice: str | None, name: str | None
) -> tuple[tuple[ToolSpec, ...], tuple[ToolSpec, ...]]:
    """Return the tools that the model knows, and those of which it has to call one.

    `choice` is "none", "auto" or "required"; `name` is that of the tool to call. Raises ApiError.
    """
    if name is not None:
        forced = tuple(tool for tool in tools if tool.name == name)
        if not forced:
            raise ApiError(f"tool_choice: no tool is named {name[:200]!r}", param="tool_choice")
        return tools, forced
    if choice == "required" and not tools:
        raise ApiError("tool_choice: no tools are given", param="tool_choice")
    return ((), ()) if choice == "none" else (tools, tools if choice == "required" else ())

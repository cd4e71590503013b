"""A Python function as a tool: its schema comes from type hints and docstring."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, overload

import msgspec

from palaver.core.errors import UserError
from palaver.core.tool import Tool, ToolContext, ToolError, ToolSpec

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}")
_SECTION = re.compile(r"\s*(Args|Arguments|Parameters):\s*")
_ARGUMENT = re.compile(r"(\s*)(?::param )?\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s+(.*)")


class FunctionTool:
    """A tool that calls a function; made by `tool`. Calling it calls the function."""

    def __init__(self, function: Callable[..., Any], name: str | None, *, reads: bool) -> None:
        """Read the function's parameters. Raises UserError for one without a type that JSON has."""
        self._function = function
        name = name or function.__name__
        if not _NAME.fullmatch(name):
            raise UserError(f"{name!r} can't be the name of a tool")
        parameters = inspect.signature(function).parameters
        text, described = described_by(inspect.getdoc(function) or "", list(parameters))
        hints = typing.get_type_hints(function, include_extras=True)
        fields: list[Any] = []
        self._context = ""
        for parameter in parameters.values():
            hint = hints.get(parameter.name)
            if hint is ToolContext:
                self._context = parameter.name
                continue
            if hint is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise UserError(f"tool {name}: the parameter {parameter.name} needs a type")
            fields.append(_field(parameter, hint, described.get(parameter.name)))
        try:
            self._arguments = msgspec.defstruct("Arguments", fields, forbid_unknown_fields=True)
            schema = _inlined(msgspec.json.schema(self._arguments))
        except TypeError as error:
            raise UserError(f"tool {name}: {error}") from None
        shown = {key: schema.get(key, []) for key in ("properties", "required")}
        self.spec = ToolSpec(name, text or name, {"type": "object", **shown}, reads)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._function(*args, **kwargs)

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Call the function, one that is not async on a thread; return what it returned.

        Text as it is, anything else as JSON. What it raises is a fault like that of any tool.
        """
        try:
            made = msgspec.convert(arguments, self._arguments)
        except msgspec.ValidationError as error:
            raise ToolError(f"error: {self.spec.name}: {error}") from None
        values = {name: getattr(made, name) for name in self._arguments.__struct_fields__}
        if self._context:
            values[self._context] = ctx
        if inspect.iscoroutinefunction(self._function):
            result = await self._function(**values)
        else:
            result = await asyncio.to_thread(self._function, **values)
        return result if isinstance(result, str) else msgspec.json.encode(result).decode()

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the call as Python writes it."""
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        return f"{self.spec.name}({given})"


@overload
def tool(function: Callable[..., Any]) -> FunctionTool: ...
@overload
def tool(
    *, name: str | None = None, reads: bool = False
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None, *, name: str | None = None, reads: bool = False
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a function: `@tool`, or `@tool(reads=True)` for one that only reads.

    Every parameter needs a type. The docstring's beginning is what a model is told; lines like
    `name: text`, or a section `Args:`, describe the parameters. A parameter of the type
    ToolContext gets that. Raises UserError for what can't be a tool.
    """
    if function is not None:
        return FunctionTool(function, name, reads=reads)
    return lambda decorated: FunctionTool(decorated, name, reads=reads)


@cache
def from_file(path: Path) -> tuple[Tool, ...]:
    """Run a Python file of the user's; return the tools that it makes. Raises UserError."""
    spec = importlib.util.spec_from_file_location(f"palaver_tools_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever it is, it is the file's
        raise UserError(f"{path} can't be loaded: {type(error).__name__}: {error}") from error
    found = tuple(value for value in vars(module).values() if isinstance(value, FunctionTool))
    if not found:
        raise UserError(f"{path} holds no tool", fix="write @palaver.tool above a function")
    return found


def described_by(doc: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Take a docstring apart: what stands before the parameters, and what is said of each."""
    text: list[str] = []
    described: dict[str, str] = {}
    last, inside = "", False
    for line in doc.splitlines():
        found = _ARGUMENT.fullmatch(line)
        if _SECTION.fullmatch(line):
            inside = True
        elif found and text and found[2] in names:
            inside, last = True, found[2]
            described[last] = found[3].strip()
        elif not inside:
            text.append(line)
        elif last and line.startswith(" ") and line.strip():
            described[last] += f" {line.strip()}"
        elif line.strip():
            last = ""
    return " ".join(" ".join(text).split()), described


def _field(parameter: inspect.Parameter, hint: Any, about: str | None) -> Any:
    if about:
        hint = typing.Annotated[hint, msgspec.Meta(description=about)]
    if parameter.default is parameter.empty:
        return parameter.name, hint
    if isinstance(parameter.default, list | dict | set):
        kept = parameter.default
        return parameter.name, hint, msgspec.field(default_factory=lambda: type(kept)(kept))
    return parameter.name, hint, parameter.default


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Put what `$ref` names in its place: few templates know references.

    Raises TypeError for a type that contains itself.
    """
    named = schema.get("$defs", {})

    def put(value: Any, above: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [put(item, above) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            if name in above:
                raise TypeError(f"the type {name} contains itself")
            rest = {k: v for k, v in value.items() if k != "$ref"}
            return put(named[name], (*above, name)) | rest
        kept = {k: v for k, v in value.items() if k != "$defs"}
        if isinstance(kept.get("title"), str):  # a name of ours; a property "title" is a schema
            del kept["title"]
        return {k: put(v, above) for k, v in kept.items()}

    top = put({"$ref": schema["$ref"]} if "$ref" in schema else schema, ())
    return dict(top)

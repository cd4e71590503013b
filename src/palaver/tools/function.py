"""A Python function as a tool: its schema comes from type hints and docstring."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import re
import threading
import typing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, overload

from palaver.core.errors import UserError
from palaver.core.tool import Tool, ToolContext, ToolError, ToolSpec
from palaver.tools import schema
from palaver.tools.docstring import described_by
from palaver.tools.printing import printing

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}", re.ASCII)
_DONE = "done"  # what a model is told where a function returns nothing


class FunctionTool:
    """A tool that calls a function; made by `tool`. Calling it calls the function."""

    def __init__(self, function: Callable[..., Any], name: str | None, *, reads: bool) -> None:
        """Read the function's parameters. Raises UserError for one without a type that JSON has."""
        self._function = function
        name = str(name or getattr(function, "__name__", ""))
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{name!r} can't be the name of a tool: it takes letters, digits, _ - and .",
                fix='name it: @tool(name="...")',
            )
        parameters, hints = _read(function, name)
        doc = inspect.getdoc(function) if inspect.isroutine(function) else None
        text, described = described_by(doc or "", list(parameters))
        self._positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY]
        self._context = ""
        self._hints: dict[str, Any] = {}
        shown: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        for parameter in parameters.values():
            hint = hints.get(parameter.name)
            if hint is ToolContext:
                self._context = parameter.name
                continue
            if hint is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise UserError(
                    f"tool {name}: the parameter {parameter.name} needs a type",
                    fix="a name with a type of its own, as in `city: str`",
                )
            if parameter.default is None:
                hint = schema.accepting_none(hint)
            try:
                made = _property(parameter, hint, described.get(parameter.name))
            except TypeError as error:
                raise UserError(f"tool {name}: the parameter {parameter.name}: {error}") from None
            self._hints[parameter.name] = hint
            shown["properties"][parameter.name] = made
            if parameter.default is parameter.empty:
                shown["required"].append(parameter.name)
        self.spec = ToolSpec(name, text or name, shown, reads)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._function(*args, **kwargs)

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Call the function, one that is not async on a thread; return what it returned.

        Text as it is, anything else as JSON. What it raises is a fault like that of any tool,
        but ToolError, which is for the model. Cancelling ends an async function; of one on a
        thread only the waiting ends.
        """
        values = self._values(arguments)
        shown = _Shown(ctx.emit)
        if self._context:
            values[self._context] = replace(ctx, emit=shown.emit)
        placed = [values.pop(name) for name in self._positional if name in values]
        try:
            if inspect.iscoroutinefunction(self._function):
                result = self._function(*placed, **values)
            else:
                result = await _on_thread(lambda: self._function(*placed, **values), shown)
            if inspect.isawaitable(result):
                with printing(shown.emit):
                    result = await result
        except SystemExit as error:
            raise ToolError(f"error: {self.spec.name} ended by sys.exit: {error}") from None
        finally:
            shown.end()
        return _answer(self.spec.name, result)

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the call as Python writes it. Raises ToolError where arguments don't fit."""
        self._values(arguments)
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        return f"{self.spec.name}({given})"

    def _values(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make what a model gave values of the function's types; the rest are its defaults."""
        error = f"error: {self.spec.name}: "
        for name in self.spec.parameters["required"]:
            if name not in arguments:
                raise ToolError(f"{error}{name!r} is missing")
        values: dict[str, Any] = {}
        for name, given in arguments.items():
            if name not in self._hints:
                known = f"there are: {', '.join(self._hints)}" if self._hints else "it takes none"
                raise ToolError(f"{error}there is no argument {name!r}; {known}")
            try:
                values[name] = schema.value_of(given, self._hints[name], name)
            except ValueError as wrong:
                raise ToolError(f"{error}{wrong}") from None
        return values


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

    Every parameter needs a type. The docstring's beginning is what a model is told; what it says
    of parameters (Google, NumPy, reStructuredText, or lines `name: text`) describes them. A
    parameter of the type ToolContext gets that. Raises UserError for what can't be a tool.
    """
    if function is not None:
        return FunctionTool(function, name, reads=reads)
    return lambda decorated: FunctionTool(decorated, name, reads=reads)


def as_tool(made: Any, what: str) -> Tool:
    """Return a tool as it is, a function as a tool. Raises UserError for anything else."""
    if not isinstance(made, type):
        if isinstance(getattr(made, "spec", None), ToolSpec):
            found: Tool = made
            return found
        if callable(made):
            return tool(made)
    raise UserError(f"{what} is no tool", fix="write @palaver.tool above a function")


def _read(
    function: Callable[..., Any], name: str
) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Return a function's parameters and their types."""
    try:
        parameters = dict(inspect.signature(function).parameters)
        described = function if inspect.isroutine(function) else type(function).__call__
        return parameters, typing.get_type_hints(described, include_extras=True)
    except NameError as error:
        raise UserError(
            f"tool {name}: a type is not known: {error}", fix="define it above, in the module"
        ) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} can't be a tool: {error}") from None


def _property(parameter: inspect.Parameter, hint: Any, about: str | None) -> dict[str, Any]:
    """Return the schema of a parameter. Raises TypeError for a type that JSON has no values of."""
    made = schema.schema_of(hint)
    if about:
        made["description"] = about
    if parameter.default is not parameter.empty:
        with suppress(TypeError, ValueError):  # a default that JSON does not have is not shown
            default = schema.plain(parameter.default)
            schema.value_of(default, hint, parameter.name)
            made["default"] = default
    return made


class _Shown:
    """Shows what a function says while its call is under way; it may do so from any thread."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._under_way = True

    def emit(self, text: str) -> None:
        with suppress(RuntimeError):  # the chat is over
            self._loop.call_soon_threadsafe(self._show, text)

    def end(self) -> None:
        self._loop.call_soon(self._close)  # after what was said before

    def _show(self, text: str) -> None:
        if self._under_way:
            self._emit(text)

    def _close(self) -> None:
        self._under_way = False


async def _on_thread(work: Callable[[], Any], shown: _Shown) -> Any:
    """Do work on a thread that holds nothing up when palaver ends; return or raise what it does."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((result, error))

    def run() -> None:
        result, failed = None, None
        try:
            with printing(shown.emit):
                result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            failed = error
        with suppress(RuntimeError):  # the chat is over
            loop.call_soon_threadsafe(tell, result, failed)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="palaver tool", daemon=True).start()
    result, failed = await done
    if failed is not None:
        raise failed
    return result


def _answer(name: str, result: Any) -> str:
    if result is None:
        return _DONE
    if isinstance(result, str):
        return result
    try:
        return schema.text_of(result)
    except (TypeError, ValueError) as error:
        what = type(result).__name__
        raise ToolError(
            f"error: {name} did its work, but returned {what}, which is no JSON: {error}"
        ) from None

"""Tools that come from outside of palaver: files of the user's, installed packages."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from palaver.core.errors import UserError
from palaver.core.tool import Tool, ToolSpec
from palaver.tools.function import as_tool

GROUP = "palaver.tools"  # of entry points


@cache
def from_file(path: Path) -> tuple[Tool, ...]:
    """Run a Python file of the user's; return the tools that it makes. Raises UserError."""
    if not path.is_file():
        raise UserError(f"there is no Python file {path}")
    # Two files may have one name; types are looked up in sys.modules by the module's name.
    name = f"palaver_tools_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever it is, it is the file's
        del sys.modules[name]
        raise UserError(f"{path} can't be loaded: {_said(error, path)}") from error
    made = {
        id(value): value
        for value in vars(module).values()
        if not isinstance(value, type) and isinstance(getattr(value, "spec", None), ToolSpec)
    }
    if not made:
        raise UserError(f"{path} holds no tool", fix="write @palaver.tool above a function")
    return tuple(made.values())


def installed() -> tuple[str, ...]:
    """Return the names of tools that installed packages bring."""
    return tuple(dict.fromkeys(point.name for point in entry_points(group=GROUP)))


def from_package(name: str) -> Tool:
    """Load a tool that an installed package brings. Raises UserError."""
    (point, *_) = entry_points(group=GROUP, name=name)
    try:
        made = point.load()
    except (Exception, SystemExit) as error:  # whatever it is, it is the package's
        raise UserError(f"the tool {name} can't be loaded: {_said(error)}") from error
    return as_tool(made, f"{point.value}, which a package brings as the tool {name},")


def _said(error: BaseException, path: Path | None = None) -> str:
    """Return an error in a line, and the line of the file that it came from."""
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    trace, line = error.__traceback__, 0
    while trace:
        if path and trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: {text}" if line else text

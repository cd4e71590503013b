"""Which tools a setting turns on: groups, names, files of the user's, entry points."""

from __future__ import annotations

import difflib
from pathlib import Path

from palaver.core.errors import UserError
from palaver.core.tool import Tool
from palaver.tools.toolbox import NAMES, load

READING = ("read_file", "list_files", "search_files")
PROGRAMS = ("shell", "python")  # they run programs, in the sandbox
GROUPS = ("auto", "on", "off")
_ENTRY_POINTS = "palaver.tools"


def names(given: str, *, knows: bool = True) -> tuple[str, ...]:
    """Return what a setting turns on: built-in names, as the shipped model was taught them, then
    files that end in `.py`, then names of entry points.

    "auto" is the tools that only read, or none for a model that does not know tools. Raises
    UserError for a tool that there is not.
    """
    groups = {"off": (), "auto": READING if knows else (), "on": NAMES}
    found: dict[str, None] = {}
    for word in filter(None, (part.strip() for part in given.split(","))):
        if not (word in groups or word in NAMES or word.endswith(".py") or word in _others()):
            near = difflib.get_close_matches(word, NAMES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(NAMES)}"
            raise UserError(f"there is no tool {word!r}", fix=hint)
        found |= dict.fromkeys(groups.get(word, (word,)))
    return (*(n for n in NAMES if n in found), *(n for n in found if n not in NAMES))


def tools(given: str, *, knows: bool = True) -> list[Tool]:
    """Load what a setting turns on. Raises UserError for what can't be had."""
    made: list[Tool] = []
    for name in names(given, knows=knows):
        if name in NAMES:
            made += load([name])
        elif name.endswith(".py"):
            from palaver.tools.function import from_file

            made += from_file(Path(name).expanduser().absolute())
        else:
            made.append(_other(name))
    built_in = [tool.spec.name for tool in made].count
    for tool in made:
        if built_in(tool.spec.name) > 1:
            raise UserError(f"there are two tools {tool.spec.name!r}", fix="name one otherwise")
    return made


def _others() -> tuple[str, ...]:
    """Return the tools that installed packages bring."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=_ENTRY_POINTS).names)


def _other(name: str) -> Tool:
    from importlib.metadata import entry_points

    (found, *_) = entry_points(group=_ENTRY_POINTS, name=name)
    try:
        loaded: Tool = found.load()
    except Exception as error:  # whatever it is, it is the package's
        what = f"{type(error).__name__}: {error}"
        raise UserError(f"the tool {name} of {found.value} can't be loaded: {what}") from error
    return loaded

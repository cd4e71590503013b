"""Which tools a setting turns on: groups, names, files of the user's, entry points."""

from __future__ import annotations

import difflib
from pathlib import Path

from palaver.core.errors import UserError
from palaver.core.tool import Tool
from palaver.tools.toolbox import NAMES, different, load

READING = ("read_file", "list_files", "search_files")
PROGRAMS = ("shell", "python")  # they run programs, in the sandbox
GROUPS = ("auto", "on", "off")


def names(given: str, *, knows: bool = True) -> tuple[str, ...]:
    """Return what a setting turns on: built-in names, as the shipped model was taught them, then
    files that end in `.py`, then names of entry points.

    "auto" is the tools that only read, or none for a model that does not know tools. Raises
    UserError for a tool that there is not.
    """
    groups = {"off": (), "auto": READING if knows else (), "on": NAMES}
    found: dict[str, None] = {}
    for word in filter(None, (part.strip() for part in given.split(","))):
        if not (word in groups or word in NAMES or word.endswith(".py") or word in _installed()):
            known = (*NAMES, *_installed())
            near = difflib.get_close_matches(word, known, 1)
            all_ = f"one of {', '.join(known)}, or a file FILE.py"
            hint = f"did you mean {near[0]!r}?" if near else all_
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
            from palaver.tools.brought import from_file

            made += from_file(Path(name).expanduser().absolute())
        else:
            from palaver.tools.brought import from_package

            made.append(from_package(name))
    return different(made)


def _installed() -> tuple[str, ...]:
    from palaver.tools.brought import installed

    return installed()

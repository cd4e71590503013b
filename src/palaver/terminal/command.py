"""What a slash command is, and how one is found: each is a file in `commands/`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palaver.core import scan
from palaver.core.errors import UserError

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller

PACKAGE = "palaver.terminal.commands"
Run = Callable[["Controller", str], Awaitable[None]]
Complete = Callable[["Controller", str], list[str]]
_OWN = re.compile(r"!(!?)(?=[^\s!])")  # begins a command that the user runs; `! text` is said


@dataclass(frozen=True)
class Command:
    """A slash command: what to write, what it does, and the function that does it.

    `complete` returns what could stand in place of the argument that was begun; "path" stands
    for paths of files.
    """

    usage: str
    help: str
    run: Run
    complete: Complete | str | None = None


class Leave(Exception):  # noqa: N818 - the way out of the chat, not an error
    """The user leaves the chat."""


def names() -> list[str]:
    """Return the commands' names without the slash."""
    return list(scan.names(PACKAGE))


def find(name: str) -> Command:
    """Return a command; raises UserError with the nearest name where there is none."""
    try:
        command: Command = scan.load(PACKAGE, name, "COMMAND")
    except KeyError:
        import difflib

        near = difflib.get_close_matches(name, names(), 1, 0.6)
        hint = f"did you mean /{near[0]}?" if near else "/help lists all commands"
        hint += " (// sends a line that begins with a slash)"
        raise UserError(f"there is no command /{name[:60]}", fix=hint) from None
    return command


def split(line: str) -> tuple[str, str] | None:
    """Return a line's command and argument, or None for a line that is said to the model.

    `//` begins a line that begins with a slash, and nothing else does; `:name` is read as `/name`
    where there is one, `!line` as `/exec line`.
    """
    if own := _OWN.match(line):
        return "exec", own[1] + line[own.end() :]
    if line.startswith("//") or not line.startswith(("/", ":")):
        return None
    words = line[1:].split(maxsplit=1)
    if not words or line[1].isspace():
        return ("", "") if line.startswith("/") else None
    name = words[0].replace("-", "_")
    if line.startswith(":") and name not in names():
        return None
    return name, words[1].strip() if len(words) > 1 else ""


def said(line: str) -> str:
    """Return what is said to the model by a line that is no command."""
    return line[1:] if line.startswith("//") else line

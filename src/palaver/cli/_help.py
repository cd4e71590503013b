"""The help of `palaver` itself, written without click, which takes longer to load than to read."""

from __future__ import annotations

import textwrap
from pathlib import Path

from palaver.core.scan import names

ABOUT = (
    "Talk to the models you own, and make them better by talking.\n\n"
    "Without a command: `palaver chat`. `palaver MODEL` chats with that model."
    " `palaver -p TEXT` is `palaver ask TEXT`."
)
_HELPERS = {"flags", "group", "main"}
_WIDTH = 78
_EXAMPLES = (
    ("palaver", "chat with the tiny model that ships"),
    ("palaver -m model.gguf", "chat with a model of yours"),
    ("palaver --resume last", "go on where you left"),
    ('palaver ask "Hello!"', "one question; answers go to pipes, too"),
    ("palaver serve", "OpenAI's API, and a page at http://127.0.0.1:8090"),
    ("palaver chat --help", "what a chat takes; so for each command"),
)
_OPTIONS = (
    ("--version", "Show the version and exit."),
    ("-h, --help", "Show this message and exit."),
)


def subcommands() -> list[str]:
    """Return the names of all subcommands."""
    return [name.replace("_", "-") for name in names("palaver.cli") if name not in _HELPERS]


def summary(name: str) -> str:
    """Return the first sentence of a subcommand's module docstring, without importing it."""
    path = Path(__file__).with_name(f"{name.replace('-', '_')}.py")
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').split(". ")[0].rstrip(".")


def text() -> str:
    """Return the whole help, in the form that click gives to that of the subcommands."""
    about = "\n\n".join(
        textwrap.fill(part, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        for part in ABOUT.split("\n\n")
    )
    commands = [(name, summary(name)) for name in subcommands()]
    return (
        f"Usage: palaver [OPTIONS] COMMAND [ARGS]...\n\n{about}\n\n"
        f"Examples:\n{_list(_EXAMPLES)}\n\n"
        f"Options:\n{_list(_OPTIONS)}\n\nCommands:\n{_list(commands)}\n"
    )


def _list(entries: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    left = max(len(name) for name, _ in entries) + 4
    return "\n".join(
        textwrap.fill(
            said, _WIDTH, initial_indent=f"  {name}".ljust(left), subsequent_indent=" " * left
        )
        for name, said in entries
    )

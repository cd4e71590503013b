"""Say what can be done."""

from __future__ import annotations

from palaver.terminal.command import Command, find, names
from palaver.terminal.controller import Controller

_USAGE = 18  # characters of a usage that stands beside its help
_KEYS = (
    "//text sends a line that begins with a slash. :name is read as /name.",
    "Enter sends, Alt-Enter or Ctrl-J begins a new line, Ctrl-X Ctrl-E opens your editor.",
    "Ctrl-C stops an answer, clears the line, and twice leaves. Ctrl-D leaves.",
    "Ctrl-R searches what you typed before. Ctrl-O shows or hides reasoning.",
)


async def run(chat: Controller, argument: str) -> None:
    """Show the commands with what they do; of one, its usage."""
    if argument:
        command = find(argument.lstrip("/:"))
        chat.screen.page(f"{command.usage}\n  {command.help}")
        return
    lines = [_line(find(name)) for name in names()]
    chat.screen.page("\n".join([*lines, "", *_KEYS]))


def _line(command: Command) -> str:
    """Write usage and help side by side, where the usage is not too long for that."""
    if len(command.usage) <= _USAGE:
        return f"{command.usage:<{_USAGE}}  {command.help}"
    return f"{command.usage}\n{'':<{_USAGE}}  {command.help}"


COMMAND = Command(
    "/help [command]", "List the commands, or say more of one.", run, lambda _chat, _begun: names()
)

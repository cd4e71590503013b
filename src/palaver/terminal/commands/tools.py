"""Show the tools, or turn them on and off."""

from __future__ import annotations

from palaver import assemble
from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.tools.toolbox import NAMES

_WORDS = ("auto", "on", "off")


async def run(chat: Controller, argument: str) -> None:
    """Show what is on, or change it for this run: all, none, or named ones with + and -."""
    words = argument.replace(",", " ").split()
    if words:
        chat.set(tools=_changed([spec.name for spec in chat.tooling.specs], words))
        chat.screen.changed()
    on = {spec.name: spec for spec in chat.tooling.specs}
    rows = [f"{name}({', '.join(on[name].parameters['properties'])})" for name in on]
    off = [name for name in NAMES if name not in on]
    if off:
        rows.append(f"off: {', '.join(off)}")
    chat.screen.page("\n".join([*rows, *chat.tooling.limits()]))


def _changed(on: list[str], words: list[str]) -> str:
    if len(words) == 1 and words[0] in _WORDS:
        return words[0]
    names = on if all(word[0] in "+-" for word in words) else []
    for word in words:
        name = word.lstrip("+-")
        if not assemble.tool_names(name) or name in _WORDS:
            raise UserError(f"there is no tool {name!r}", fix=f"one of {', '.join(NAMES)}")
        names = [n for n in names if n != name] + ([] if word[0] == "-" else [name])
    return ",".join(names) or "off"


COMMAND = Command(
    "/tools [on|off|auto|NAME ...|+NAME|-NAME]",
    "Show the tools that the model may call, or change which.",
    run,
    lambda _chat, _begun: [*_WORDS, *NAMES],
)

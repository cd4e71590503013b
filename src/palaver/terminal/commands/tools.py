"""Show the tools, or turn them on and off."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.tools import chosen
from palaver.tools.chosen import GROUPS
from palaver.tools.toolbox import NAMES


async def run(chat: Controller, argument: str) -> None:
    """Show what is on, or change it for this run: all, none, or named ones with + and -."""
    words = argument.replace(",", " ").split()
    if words:
        knows = chat.model is not None and chat.model.info.tools
        on = list(chosen.names(chat.settings.tools, knows=knows))
        chat.set(tools=_changed(on, words))
        chat.screen.changed()
    specs = {spec.name: spec for spec in chat.tooling.specs}
    rows = [f"{name}({', '.join(specs[name].parameters['properties'])})" for name in specs]
    off = [name for name in NAMES if name not in specs]
    if off:
        rows.append(f"off: {', '.join(off)}")
    chat.screen.page("\n".join([*rows, *chat.tooling.limits()]))


def _changed(on: list[str], words: list[str]) -> str:
    if len(words) == 1 and words[0] in GROUPS:
        return words[0]
    names = on if all(word[0] in "+-" for word in words) else []
    for word in words:
        name = word.lstrip("+-")
        if name in GROUPS or not chosen.names(name):
            raise UserError(f"{name!r} stands alone, or is a tool's name")
        names = [n for n in names if n != name] + ([] if word[0] == "-" else [name])
    return ",".join(names) or "off"


COMMAND = Command(
    "/tools [on|off|auto|NAME ...|+NAME|-NAME]",
    "Show the tools that the model may call, or change which.",
    run,
    lambda _chat, _begun: [*GROUPS, *NAMES],
)

"""Show or change a setting."""

from __future__ import annotations

import difflib

from palaver.config.settings import SAMPLING, keys, parse
from palaver.core.errors import UserError
from palaver.core.generation import DEFAULT_TEMPERATURE
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible

_CHANGEABLE = (*SAMPLING, "reasoning_effort", "status")
_DRAWN = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")  # a model may ask for these


async def run(chat: Controller, argument: str) -> None:
    """Change a setting that an answer takes; the config file stays as it is."""
    name, _, value = argument.replace("=", " ", 1).partition(" ")
    name = name.replace("-", "_")
    if not name:
        shown = [f"{key} = {_shown(chat, key)}" for key in _CHANGEABLE]
        chat.screen.page("\n".join(visible(line) for line in shown))
        return
    if name not in _CHANGEABLE:
        near = [key for key in _CHANGEABLE if key.startswith(name)]
        near = near or difflib.get_close_matches(name, _CHANGEABLE, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(_CHANGEABLE)}"
        raise UserError(f"/set can't change {name!r}", fix=hint)
    field = keys()[name]
    given = parse(name, str(field.type), value.strip()) if value.strip() else field.default
    if name == "stop" and not value.strip():
        given = []
    chat.set(**{name: given})
    if name == "reasoning_effort" and chat.model:
        await chat.settle()
        chat.model.effort = chat.settings.reasoning_effort
        chat.forecast.forget()
        chat.screen.changed()
    chat.screen.note(visible(f"{name} = {_shown(chat, name)}"))


def _shown(chat: Controller, name: str) -> str:
    """Write a setting's value; where none is set what is used instead, and whose choice that is."""
    value = getattr(chat.settings, name)
    if value is not None and value != []:
        return str(value)
    if chat.model is None or name not in _DRAWN:
        return "unset"
    own = chat.model.info.sampling
    if own is None:
        return "unset (the server's choice)"
    if name in own:
        return f"unset ({own[name]:g}, the model's own)"
    return f"unset ({DEFAULT_TEMPERATURE})" if name == "temperature" else "unset"


COMMAND = Command(
    "/set [name value]",
    "Show the settings of answers, or change one for this run (no value: unset).",
    run,
    lambda _chat, _begun: list(_CHANGEABLE),
)

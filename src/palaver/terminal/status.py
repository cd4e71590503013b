"""The header and the status line.

Imports nothing heavy: the header stands on the screen before anything else is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palaver.config.settings import Settings
from palaver.terminal.escape import visible
from palaver.terminal.words import seconds

TINY = "palaver-tiny"
STOPS = "Ctrl-C stops"

if TYPE_CHECKING:
    from palaver.core.model import Cost, Opened
    from palaver.terminal.controller import Controller


def header(settings: Settings, flags: dict[str, Any], chat: Controller | None = None) -> str:
    """Return the two lines above a chat: what answers, and where what is said goes.

    What only the loaded model or the opened session can tell is left out until `chat` knows it.
    """
    model = chat.model if chat else None
    name = visible(settings.model or ("" if settings.endpoint else TINY), newlines=False)
    context = f", context {settings.context}" if settings.context else ""
    template = ""
    if model:
        info = model.info
        context = f", context {info.context or 'not known'}"
        if not settings.model:
            name = visible(info.model, newlines=False)
        template = template_note(model)
    engine = _engine(settings, model)
    capture = visible(settings.output, newlines=False) if settings.output else "off"
    return (
        f"palaver: {f'{name} on ' if name else ''}{engine}{context}{template}\n"
        f"{_session(flags, chat)}, capture {capture}, /help lists the commands"
    )


def _engine(settings: Settings, model: Opened | None) -> str:
    """Name the engine that answers, or will for all that is known before anything is loaded."""
    name = model.info.engine if model else settings.endpoint or settings.engine
    if name is None:
        name = "llama-server" if settings.llama_server else "llama-cpp"
    return "llama.cpp" if name == "llama-cpp" else visible(name, newlines=False)


def _session(flags: dict[str, Any], chat: Controller | None) -> str:
    number = f" {chat.conversation.session}" if chat and chat.opened else ""
    if flags.get("no_save"):
        return "session not kept (--no-save)"
    if flags.get("resume"):
        name = visible(str(flags["resume"]), newlines=False)
        return f"session{number} resumed" if number else f"session {name} to be resumed"
    return f"session{number} kept"


def template_note(model: Opened) -> str:
    """Say which template is used where the model did not bring its own."""
    source = model.info.template
    if not source.startswith("built-in"):
        return ""
    return f", template: {visible(source.partition(':')[0], newlines=False)}"


def next_cost(cost: Cost | None) -> str:
    """Return what the next turn will cost, for the status line."""
    if cost is None:
        return ""
    if not cost.exact:
        return f"next: ~{cost.reused + cost.prefill} tokens"
    text = f"next: {cost.reused} reused, {cost.prefill} to read"
    if cost.seconds is not None:
        text += f" (~{seconds(cost.seconds)})"
    return f"{text}; {cost.broke}" if cost.broke else text


class _Fields(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def status_line(chat: Controller) -> str:
    """Fill the template of the settings with what is known now."""
    fields = _Fields(
        model=chat.loading.state, context="", cost="", session="", turns="", threads=""
    )
    model = chat.model
    if model:
        info = model.info
        known = chat.forecast
        cost = STOPS if chat.busy else known.uncounted or next_cost(known.cost)
        fields |= {
            "model": visible(info.model, newlines=False),
            "context": f"{'?' if chat.busy else known.used}/{info.context or '?'}",
            "cost": visible(cost, newlines=False),
            "threads": str(info.threads or ""),
        }
    if chat.opened:
        fields["session"] = str(chat.conversation.session)
        fields["turns"] = str(chat.conversation.turns)
    template = chat.settings.status
    try:
        return visible(template.format_map(fields).strip(), newlines=False)
    except (ValueError, AttributeError, IndexError, TypeError):
        return visible(f"status template {template!r} can't be filled", newlines=False)

"""The header and the status line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palaver.config.settings import Settings
from palaver.terminal.escape import visible
from palaver.terminal.lines import next_cost

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller


def header(settings: Settings, flags: dict[str, Any]) -> str:
    """Return the two lines above a chat: what answers, and where what is said goes."""
    name = visible(settings.model or "palaver-tiny", newlines=False)
    engine = "llama-server" if settings.llama_server else "llama.cpp"
    context = f", context {settings.context}" if settings.context else ""
    capture = visible(settings.output, newlines=False) if settings.output else "off"
    session = "not kept (--no-save)" if flags.get("no_save") else "kept"
    if flags.get("resume"):
        session = f"resumed ({flags['resume']})"
    return (
        f"palaver: {name} on {engine}{context}\n"
        f"session {session}, capture {capture}, /help lists the commands"
    )


class _Fields(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def status_line(chat: Controller) -> str:
    """Fill the template of the settings with what is known now."""
    model = chat.model
    fields = _Fields(model="loading", context="", cost="", session="", turns="", threads="")
    if model:
        info = model.engine.info
        used = chat.cost.reused + chat.cost.prefill if chat.cost else 0
        fields |= {
            "model": visible(info.model, newlines=False),
            "context": f"{used}/{info.context}",
            "cost": next_cost(chat.cost),
            "threads": str(info.threads),
        }
    if chat.opened:
        fields["session"] = str(chat.conversation.session)
        fields["turns"] = str(chat.conversation.turns)
    try:
        return chat.settings.status.format_map(_Fields(fields)).strip()
    except (ValueError, AttributeError, IndexError):
        return f"status template {chat.settings.status!r} can't be filled"

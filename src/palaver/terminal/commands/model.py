"""Show or change the model."""

from __future__ import annotations

from palaver.config import paths
from palaver.launch import TINY
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.escape import visible
from palaver.terminal.words import plural


def _complete(chat: Controller, begun: str) -> list[str]:
    folder = paths.models_dir()
    return [TINY, *(p.name for p in folder.glob("*.gguf")), "path"]


async def run(chat: Controller, argument: str) -> None:
    """Load another model; the conversation goes on with it."""
    if argument:
        chat.screen.note(f"loading {visible(argument)}")
        await chat.use_model(argument)
    model = await chat.ready()
    info = model.info
    room = f"{info.context} tokens of context" if info.context else "context not known"
    parts = [f"{visible(info.model)} on {visible(info.engine)}", room]
    if info.threads:
        parts.append(plural(info.threads, "thread"))
    parts += [f"template: {visible(info.template)}", f"replies: {visible(info.replies)}"]
    if info.sampling:
        own = ", ".join(f"{name} {value:g}" for name, value in info.sampling.items())
        parts.append(f"its own sampling: {own}")
    chat.screen.page(", ".join(parts))


COMMAND = Command(
    "/model [name]",
    "Show the model, or load another: a path, org/repo[:quant] or a name.",
    run,
    _complete,
)

"""Chat with a model in the terminal (the default)."""

from __future__ import annotations

from typing import Any

import click

from palaver.cli._options import flags, given
from palaver.cli.flags import FLAGS
from palaver.cli.main import start_chat


@click.command("chat")
@click.argument("model_argument", required=False, metavar="[MODEL]")
@flags(*(flag.key for flag in FLAGS))
def chat(model_argument: str | None, **values: Any) -> int:
    """Chat with a model in the terminal.

    MODEL is a path, a folder, org/repo[:quant] or the name of a downloaded model; without one,
    the model of the config, else the tiny one that ships with palaver.

    \b
    palaver ~/models/model.gguf --context 8192
    palaver -e ollama -m llama3.2
    palaver --tools on --resume last
    """
    if model_argument and values["model"]:
        raise click.UsageError("Give the model once: as MODEL or with --model.")
    values["model"] = values["model"] or model_argument
    return start_chat(given(values))


COMMAND = chat

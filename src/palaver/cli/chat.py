"""Chat with a model in the terminal (the default)."""

from __future__ import annotations

from typing import Any

import click

from palaver.cli._options import given
from palaver.cli.flags import FLAGS
from palaver.cli.main import start_chat


def _chat(model_argument: str | None, **values: Any) -> int:
    """Chat with a model in the terminal.

    MODEL is a path, a folder, org/repo[:quant] or the name of a downloaded model; without one,
    the model of the config, else the tiny one that ships with palaver.
    """
    if model_argument and values.get("model"):
        raise click.UsageError("Give the model once: as MODEL or with --model.")
    values["model"] = values.get("model") or model_argument
    return start_chat(given(values))


def _command() -> click.Command:
    params: list[click.Parameter] = [
        click.Argument(["model_argument"], required=False, metavar="[MODEL]")
    ]
    for flag in FLAGS:
        names = [*flag.names, flag.key]
        if flag.kind is None:
            params.append(click.Option(names, is_flag=True, help=flag.help))
        else:
            params.append(click.Option(names, type=flag.kind, help=flag.help, multiple=flag.many))
    return click.Command("chat", callback=_chat, params=params, help=_chat.__doc__)


COMMAND = _command()

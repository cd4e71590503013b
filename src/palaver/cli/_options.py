"""Options that several subcommands share, from the table of `palaver.cli.flags`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from palaver.cli.flags import FLAGS
from palaver.config import settings

F = TypeVar("F", bound=Callable[..., Any])

ENGINE = (
    "model",
    "engine",
    "endpoint",
    "context",
    "memory_limit",
    "threads",
    "kv_type",
    "device",
    "dtype",
    "quantize",
    "reasoning_effort",
    "llama_server",
    "vllm",
    "tensor_parallel",
    "dialect",
    "lora",
)


def flags(*keys: str) -> Callable[[F], F]:
    """Add the flags with these keys to a command."""

    def add(function: F) -> F:
        for flag in reversed([f for f in FLAGS if f.key in keys]):
            names = [*flag.names, flag.key]
            kind: dict[str, Any] = {"is_flag": True} if flag.kind is None else {"type": flag.kind}
            function = click.option(*names, help=flag.help, multiple=flag.many, **kind)(function)
        return function

    return add


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that the user gave."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if _is_given(v)}


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()


def load_settings(values: dict[str, Any]) -> settings.Settings:
    """Read the config with what the user gave on the command line; raises UserError."""
    known = settings.keys()
    return settings.load(**{k: v for k, v in given(values).items() if k in known})

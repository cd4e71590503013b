"""Show and change the settings"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from palaver.config import environment, settings
from palaver.core.errors import UserError


@click.group("config")
def config() -> None:
    """Show and change the settings in config.toml."""


@config.command("path")
def path() -> None:
    """Print the path of config.toml."""
    click.echo(str(settings.config_file()))


@config.command("show")
def show() -> None:
    """List every setting with its value.

    Below each stands what it does. Secrets are masked.
    """
    from palaver.terminal.escape import visible

    now = settings.load()
    for name, spec in settings.keys().items():
        value = getattr(now, name)
        if spec.metadata["secret"] and value:
            value = "********"
        text = "unset" if value is None else visible(repr(value), newlines=False)
        click.echo(f"{name} = {text}")
        click.echo(f"    {spec.metadata['help']}")


@config.command("set")
@click.argument("name")
@click.argument("value", required=False)
def set_(name: str, value: str | None) -> None:
    """Write NAME = VALUE into config.toml.

    Without VALUE it is taken out. Comments are kept.
    """
    known = settings.keys()
    name = name.replace("-", "_")
    if name not in known:
        raise settings.unknown_key(name, "palaver config set")
    parsed: Any = None
    if value is not None:
        parsed = settings.parse(name, str(known[name].type), value)
    _write(name, parsed)


def _write(name: str, value: Any) -> None:
    file = settings.config_file()
    settings.load()  # a file that can't be read is not written over
    try:
        _replace(file, name, value)
    except OSError as error:
        with contextlib.suppress(OSError):
            file.with_suffix(".new").unlink()
        raise UserError(f"{file} can't be written: {error.strerror}") from None


def _replace(file: Path, name: str, value: Any) -> None:
    import os

    import tomlkit

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    document = tomlkit.parse(text)
    if value is None:
        document.pop(name, None)
    else:
        document[name] = value
        settings.Settings(**{name: value})
    temporary = file.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(tomlkit.dumps(document).encode())
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)


@config.command("edit")
def edit() -> None:
    """Open config.toml in your editor, then check it."""
    import shlex

    file = settings.config_file()
    try:
        editor = shlex.split(environment.editor())
    except ValueError as error:
        raise UserError(f"the editor's command is broken: {error}", fix="set EDITOR") from None
    try:
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600)
        subprocess.run([*editor, str(file)], check=False)
    except OSError as error:
        raise UserError(
            f"the editor can't be started: {error.strerror}", fix="set EDITOR"
        ) from None
    settings.load()
    sys.stderr.write("config.toml is in order\n")


COMMAND = config

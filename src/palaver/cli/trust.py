"""Read and trust a project's own rules"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from palaver.core.errors import UserError


@click.command("trust")
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@click.option("--hash", "given", metavar="SHA256", help="Trust without a question what has it.")
@click.option("--remove", is_flag=True, help="Trust the rules of this folder no longer.")
def trust(folder: str, given: str | None, remove: bool) -> None:
    """Show the rules that a project brings along, and use them from now on.

    A project keeps them in .palaver/rules.toml. They are used only while the file is as it was
    when you trusted it.
    """
    from palaver.config import paths
    from palaver.terminal.escape import visible
    from palaver.tools.consent import trust as trusted

    root, store = Path(folder).absolute(), paths.data_dir() / trusted.STORE
    name = visible(str(root / trusted.NAME), newlines=False)
    if remove:
        trusted.distrust(root, store)
        click.echo(f"{name} is not trusted")
        return
    data = trusted.content(root)
    if data is None:
        raise UserError(f"there is no {name}", fix="without it there is nothing to trust")
    mark = trusted.fingerprint(data)
    click.echo(visible(data.decode("utf-8", "backslashreplace")).rstrip("\n"))
    click.echo(f"\n{name}\nsha256 {mark}")
    if given is None:
        if not sys.stdin.isatty():
            raise UserError("nobody is there to be asked", fix=f"palaver trust --hash {mark}")
        if not click.confirm("Use these rules in this folder?"):
            raise UserError("not trusted")
    elif given != mark:
        raise UserError(f"its hash is not {visible(given, newlines=False)}", fix="read it again")
    trusted.trust(root, store, data)
    click.echo("trusted")


COMMAND = trust

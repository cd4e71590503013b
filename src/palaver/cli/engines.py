"""List the engines that can run a model, and what those need that can't"""

from __future__ import annotations

import click


@click.command("engines", context_settings={"help_option_names": ["-h", "--help"]})
def _engines() -> None:
    """List the engines that `-e` takes: which are ready, and what the others need.

    Without `-e` the one is taken that suits the model best.
    """
    from palaver.config import backends, settings
    from palaver.engines.registry import kinds
    from palaver.remote.address import shown
    from palaver.terminal.escape import visible

    found = kinds()
    named = {name: table.get("endpoint", "") for name, table in settings.named_backends().items()}
    places = {**backends.LOCAL, **named}
    width = max(len(name) for name in (*places, *(kind.name for kind in found)))
    for kind in found:
        click.echo(f"{kind.name:<{width}}  {kind.about}")
        if kind.can:
            click.echo(f"{'':<{width}}  {', '.join(kind.can)}")
        if reason := kind.hindered():
            click.echo(f"{'':<{width}}  not available on this hardware: {reason}")
        elif kind.missing:
            click.echo(f"{'':<{width}}  not installed: {kind.remedy}")
    for name, url in places.items():
        click.echo(
            visible(f"{name:<{width}}  {shown(url) or 'a backend of yours'}", newlines=False)
        )


COMMAND = _engines

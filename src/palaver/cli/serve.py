"""Serve a model over HTTP, by OpenAI's API"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sys
from pathlib import Path
from typing import Any

import click

from palaver.cli._options import ENGINE, flags, load_settings
from palaver.config.settings import SAMPLING
from palaver.core.errors import UserError

_SAMPLING = tuple(name for name in SAMPLING if name != "max_tokens")
_PAGE = ("system", "tools", "max_tool_rounds", "consent", "no_sandbox", "no_save")


@click.group("serve", invoke_without_command=True)
@flags(*ENGINE, *_SAMPLING, *_PAGE)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535),
              help="Port; 0 takes a free one.")  # fmt: skip
@click.option("--name", help="What clients call the model (the file's name).")
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 64),
              help="Requests that are answered at once; each has a whole context.")  # fmt: skip
@click.option("--queue", default=64, show_default=True, type=click.IntRange(0, 10_000),
              help="Requests that may wait; more get 429.")  # fmt: skip
@click.option("--max-tokens", type=click.IntRange(1),
              help="Most tokens of an answer (what the context holds).")  # fmt: skip
@click.option("--max-context", type=click.IntRange(1), metavar="MESSAGES",
              help="How many last messages the model sees, beside the system's (all).")  # fmt: skip
@click.option("--timeout", default=600.0, show_default=True, type=click.FloatRange(1),
              help="Seconds that an answer may take.")  # fmt: skip
@click.option("--drain", default=30.0, show_default=True, type=click.FloatRange(0),
              help="Seconds that answers under way have at the end.")  # fmt: skip
@click.option("--require-key", is_flag=True, help="Ask for keys on this computer, too.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Another name of this server.")
@click.option("--allow-origin", multiple=True, metavar="URL",
              help="A page that may ask, such as https://chat.example.")  # fmt: skip
@click.option("--page", multiple=True, metavar="NAME",
              help="A key that may use the page, with all your sessions, and --tools.")  # fmt: skip
@click.option("--embeddings", is_flag=True, help="Make vectors of texts, too.")
@click.option("--capture", is_flag=True,
              help="Keep what clients say and are answered, as sessions.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No line for each request.")
@click.pass_context
def serve(ctx: click.Context, /, **values: Any) -> int:
    """Serve a model to clients of OpenAI's API, on this computer alone by default.

    At its address in a browser is a page to chat in. Ctrl-C ends it.

    \b
    palaver serve -m model.gguf
    palaver serve --tools on            (in the folder that the model works in)
    palaver serve keys add laptop; palaver serve --host 0.0.0.0
    """
    if ctx.invoked_subcommand is not None:
        return 0
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        from palaver.core import install

        fix = install.palaver("serve")
        raise UserError("the server needs two more packages", fix=fix) from None
    return _serve(values)


def _serve(values: dict[str, Any]) -> int:
    from palaver import assemble
    from palaver.config import paths
    from palaver.launch import TINY
    from palaver.server import run
    from palaver.server.drawer import Drawer
    from palaver.server.guard import LOOPBACK, Policy
    from palaver.server.keys import Keys
    from palaver.server.memory import Memory, Shelf
    from palaver.server.service import Limits, Service
    from palaver.server.sessions.desk import Access, Desk
    from palaver.server.sessions.tooling import ToolPolicy

    settings = load_settings({k: v for k, v in values.items() if k != "max_tokens"})
    if values["capture"] and values["no_save"]:
        raise UserError("--capture keeps what --no-save is not to keep", fix="leave one out")
    paths.here()  # tools work in it, and so it has to be there
    host = values["host"]
    needed = values["require_key"] or host not in LOOPBACK
    if needed and not Keys.usual().all():
        raise UserError(
            "there are no keys, and everybody who reaches this address could ask",
            fix="make one: palaver serve keys add NAME",
        )
    hosts = frozenset(name.lower() for name in (*LOOPBACK, host, *values["allow_host"]))
    policy = Policy(hosts, frozenset(values["allow_origin"]), needed)
    limits = Limits(values["queue"], values["max_tokens"], values["max_context"], values["timeout"])
    path = Path(settings.model or TINY)
    name = values["name"] or (path.stem if path.exists() else str(settings.model or TINY))
    listening = run.listen(host, values["port"])
    options = {key: values[key] for key in ("slots", "drain", "quiet", "embeddings")}

    tools = ToolPolicy(values["tools"] or "off", values["consent"], not values["no_sandbox"])
    access = Access(None if not needed else frozenset(values["page"]), not values["no_save"])

    async def go() -> None:
        shelf = Shelf(paths.database(), name)
        memory = Memory(shelf if values["capture"] else None)
        drawer = None if values["no_save"] else Drawer(shelf, paths.data_dir() / "serve-secret")
        service = Service(name, limits, assemble.sampling(settings), memory, drawer)
        desk = Desk(service, settings, tools, access)
        await run.serve(settings, service, desk, policy, listening, _say, **options)

    asyncio.run(go())
    return 0


def _say(line: str) -> None:
    from palaver.terminal.escape import visible

    with contextlib.suppress(OSError):  # who read it is gone; the server goes on
        sys.stderr.write(visible(line) + "\n")
        sys.stderr.flush()


@serve.group("keys")
def keys() -> None:
    """Keys of clients that ask from elsewhere."""


@keys.command("add")
@click.argument("name")
def add(name: str) -> None:
    """Make a key and print it; it can't be shown again."""
    from palaver.server.keys import Keys

    click.echo(Keys.usual().add(name))


@keys.command("list")
def list_() -> None:
    """List keys by name."""
    from palaver.server.keys import Keys

    for key in Keys.usual().all():
        click.echo(f"{datetime.datetime.fromtimestamp(key.added):%Y-%m-%d}  {key.name}")


@keys.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Take a key back, at once, also in servers that run."""
    from palaver.server.keys import Keys

    Keys.usual().revoke(name)


COMMAND = serve

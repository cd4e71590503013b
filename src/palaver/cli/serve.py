"""Serve a model over HTTP, by OpenAI's API"""

from __future__ import annotations

import asyncio
from typing import Any

import click

from palaver.cli._options import ENGINE, flags, load_settings
from palaver.cli.flags import SAMPLING
from palaver.core.errors import UserError


@click.command("serve")
@flags(*ENGINE, *(name for name in SAMPLING if name != "max_tokens"))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535),
              help="Port; 0 takes a free one.")  # fmt: skip
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 64),
              help="Requests that are answered at once; each has a whole context.")  # fmt: skip
def serve(host: str, port: int, slots: int, **values: Any) -> int:
    """Serve a model to clients of OpenAI's API, on this computer alone by default."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise UserError(
            "the server needs two more packages", fix="pip install 'palaver[serve]'"
        ) from None
    from palaver import assemble
    from palaver.launch import TINY
    from palaver.server import run
    from palaver.server.service import Limits, Service

    settings = load_settings(values)
    listening = run.listen(host, port)
    service = Service(settings.model or TINY, Limits(), assemble.sampling(settings))
    asyncio.run(run.serve(settings, service, listening, slots=slots, drain=30.0))
    return 0


COMMAND = serve

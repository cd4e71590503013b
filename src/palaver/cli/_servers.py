"""Which servers with models answer: the user's backends, and those of this computer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from palaver import assemble
from palaver.config import backends, settings
from palaver.core.errors import PalaverError
from palaver.remote.address import shown
from palaver.remote.listing import models

_LIMIT = 5.0  # seconds for each


class Served(Struct, frozen=True):
    """A server by its name for `-e`, its address, its models; or why it does not answer."""

    name: str
    url: str
    models: tuple[str, ...] = ()
    error: str = ""
    own: bool = False  # it stands in the config


def served() -> list[Served]:
    """Ask them all at once. Those that were not named in the config are only there if they answer.

    Raises UserError for a config that can't be read.
    """
    named = [name for name, table in settings.named_backends().items() if "endpoint" in table]
    usual = [name for name in backends.LOCAL if name not in named]
    found = asyncio.run(_all([*named, *usual], named))
    return [one for one in found if one.own or not one.error]


async def _all(names: Sequence[str], own: Sequence[str]) -> list[Served]:
    return list(await asyncio.gather(*(_one(name, own=name in own) for name in names)))


async def _one(name: str, *, own: bool) -> Served:
    url = backends.LOCAL.get(name, "")
    try:
        chosen = settings.load(engine=name)
        url = chosen.endpoint or url
        server = assemble.server_of(chosen)
        try:
            listed = await models(server, limit=_LIMIT)
        finally:
            await server.close()
    except PalaverError as error:
        return Served(name, shown(url), error=error.message, own=own)
    return Served(name, server.name, tuple(model.name for model in listed), own=own)

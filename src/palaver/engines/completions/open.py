"""Getting in touch with a completions server: what it serves, and its tokenizer."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import msgspec

from palaver.core.errors import UserError
from palaver.engines.completions.engine import Completions
from palaver.engines.completions.words import of_folder, of_server
from palaver.remote.listing import Listed, models
from palaver.remote.server import Server

_LISTING = 20.0  # seconds


async def attach(
    server: Server, model: str | None, tokenizer: str | None, context: int | None
) -> Completions:
    """Make an engine of a server's `model` (None: its first).

    `tokenizer` names a folder with its tokenizer; without one the server is asked. `context` may
    be less than the server's. Raises UserError, EngineError.
    """
    listed = await models(server, limit=_LISTING)
    if not listed:
        raise UserError(f"{server.name} has no models")
    name = model or listed[0].name
    found = next((one for one in listed if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in listed[:12])
        raise UserError(f"{server.name} has no model {name!r}", fix=f"it has {names}")
    if context is not None and found.context is not None and context > found.context:
        raise UserError(f"{server.name} serves {found.context} tokens of context, not {context}")
    wanted = Listed(found.name, found.owner, context or found.context)
    if tokenizer:
        if find_spec("tokenizers") is None:
            raise UserError("the library tokenizers is missing", fix="pip install 'palaver[vllm]'")
        file, call = await of_folder(Path(tokenizer).expanduser(), server, wanted)
    else:
        file, call = await of_server(server, wanted)
    return Completions(server, found.name, msgspec.structs.replace(file, name=name), call)

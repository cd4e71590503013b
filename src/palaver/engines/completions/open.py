"""Getting in touch with a server that takes ids: which kind it is, what it serves, its tokens."""

from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec
from pathlib import Path

import msgspec

from palaver.core import install
from palaver.core.errors import UserError
from palaver.engines.child.process import Progress
from palaver.engines.completions.attached import refusal
from palaver.engines.completions.engine import Completions
from palaver.engines.completions.llama_server import LlamaServer
from palaver.engines.completions.llama_words import of_llama_server
from palaver.engines.completions.words import of_folder, of_server
from palaver.remote import address
from palaver.remote.errors import RefusedError
from palaver.remote.listing import Listed, models
from palaver.remote.server import Server

_LISTING = 20.0  # seconds
_POLL = 0.5  # seconds between looks at a server that is loading


async def attach(
    server: Server,
    model: str | None,
    tokenizer: str | None,
    context: int | None,
    progress: Progress | None = None,
) -> Completions | LlamaServer:
    """Make an engine of a server's `model` (None: its first), of the kind that the server is.

    `tokenizer` names a folder with its tokenizer; without one the server is asked. `context` may
    be less than the server's. `progress` gets lines for the user while the server is loading.
    Raises UserError, EngineError.
    """
    try:
        return await _attach(server, model, tokenizer, context, progress)
    except RefusedError as error:
        if error.status in (401, 403):
            raise refusal(error) from None
        raise


async def _attach(
    server: Server,
    model: str | None,
    tokenizer: str | None,
    context: int | None,
    progress: Progress | None,
) -> Completions | LlamaServer:
    listed = await models(server, limit=_LISTING)
    if not listed:
        raise UserError(f"{server.name} has no models")
    name = model or listed[0].name
    found = next((one for one in listed if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in listed[:12])
        raise UserError(f"{server.name} has no model {name!r}", fix=f"it has {names}")
    if found.owner == "llamacpp":
        await _loaded(server, progress)
        return LlamaServer(server, *await of_llama_server(server, name, context))
    if context is not None and found.context is not None and context > found.context:
        raise UserError(f"{server.name} serves {found.context} tokens of context, not {context}")
    wanted = Listed(found.name, found.owner, context or found.context)
    if tokenizer:
        if find_spec("tokenizers") is None:
            raise UserError("the library tokenizers is missing", fix=install.palaver("vllm"))
        file, call = await of_folder(Path(tokenizer).expanduser(), server, wanted)
    else:
        file, call = await of_server(server, wanted)
    return Completions(server, found.name, msgspec.structs.replace(file, name=name), call)


async def _loaded(server: Server, progress: Progress | None) -> None:
    """Wait while a llama-server loads its model."""
    began = time.monotonic()
    while True:
        try:
            await server.ask("GET", address.root(server.url) + "/health", limit=_LISTING)
        except RefusedError as error:
            if error.status != 503:
                raise
            if progress:
                progress(f"{server.name} is loading, {time.monotonic() - began:.0f} s")
            await asyncio.sleep(_POLL)
        else:
            return

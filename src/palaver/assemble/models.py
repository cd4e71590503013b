"""From settings to a model, with its engine and its format."""

from __future__ import annotations

import asyncio
import datetime
import importlib
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from palaver.config import environment, paths
from palaver.config.settings import Settings
from palaver.core.errors import UserError
from palaver.core.format import Format
from palaver.core.model import Opened
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.options import ModelFile
from palaver.engines.child.process import Child, Progress
from palaver.engines.registry import Weights, find
from palaver.formats import dialects
from palaver.formats.template import TemplateFormat
from palaver.launch import engine_options, kind_of, runs_here, speaks_chat, start
from palaver.models.kv import States
from palaver.models.local import LocalModel

if TYPE_CHECKING:
    from palaver.engines.completions.engine import Completions
    from palaver.engines.completions.llama_server import LlamaServer
    from palaver.remote.server import Server


def check_model(settings: Settings) -> None:
    """Check the file of the model and the memory it would take, without loading it.

    Raises UserError, EngineError as loading would.
    """
    from palaver.engines.llama_cpp.describe import describe

    dialects.check(settings.dialect)
    if not runs_here(settings):
        return  # a server is asked when it is opened
    options = engine_options(settings)
    if not find(options.engine).suits(Weights("gguf")):
        from palaver.engines.host.folder import Folder

        if Path(options.model).is_dir():
            Folder(Path(options.model))  # the rest is known when it loads
        return
    describe(msgspec.structs.replace(options, threads=options.threads or 1))


async def open_model(
    settings: Settings,
    *,
    started: float,
    starting: Awaitable[Child | None] | None = None,
    keep_states: bool = True,
    progress: Progress | None = None,
    raw: bool = False,
) -> Opened:
    """Load the model that the settings name, or get in touch with the endpoint that has it.

    `raw`: answers hold their tokens' own text as well. The rest as with `open_local`.
    """
    if not speaks_chat(settings):
        model = await open_local(
            settings, started=started, starting=starting, keep_states=keep_states, progress=progress
        )
        model.raw = raw
        return model
    if starting:
        await starting  # it started nothing
    return await _open_endpoint(settings, raw=raw)


async def open_local(
    settings: Settings,
    *,
    started: float,
    starting: Awaitable[Child | None] | None = None,
    keep_states: bool = True,
    progress: Progress | None = None,
) -> LocalModel:
    """Load a model of which we have the tokens; `started` is the conversation's first moment.

    `starting` is the engine's process where that was begun before. `keep_states` False uses saved
    states but writes none. `progress` gets lines for the user while a server is loading. Takes as
    long as loading takes. Raises UserError, EngineError.
    """
    # The template needs jinja2: loaded while the engine loads, not when the first prompt waits.
    jinja2 = asyncio.to_thread(importlib.import_module, "jinja2.sandbox")
    engine, _ = await asyncio.gather(_engine(settings, starting, progress), jinja2)
    try:
        began = datetime.date.fromtimestamp(started)
        fmt = make_format(engine.file, began, settings.dialect, settings.reasoning_effort)
        keeps = keep_states and isinstance(engine, ChildEngine)  # a server's cache is its own
        limit = int(settings.kv_disk_gb * (1 << 30)) if keeps else 0
        return LocalModel(engine, fmt, States(paths.kv_dir(), engine.info.fingerprint, limit))
    except BaseException:
        await engine.close()
        raise


async def _engine(
    settings: Settings,
    starting: Awaitable[Child | None] | None,
    progress: Progress | None,
) -> ChildEngine | Completions | LlamaServer:
    """Load the engine that the settings name, or get in touch with the server that is one."""
    env = environment.engine_environment()
    child = await (starting or asyncio.to_thread(start, settings))
    try:
        dialects.check(settings.dialect)
    except UserError:
        if child:
            child.kill()
        raise
    if child is None:
        return await _attach(settings, progress)
    if child.given.engine == "vllm":
        from palaver.engines.vllm.engine import Vllm

        return await Vllm.start(child, env, progress)
    return await ChildEngine.start(child, env, progress)


async def _attach(settings: Settings, progress: Progress | None) -> Completions | LlamaServer:
    """Make an engine of a server of others. Raises UserError where it gives no tokens."""
    if speaks_chat(settings):
        raise UserError(
            "this takes a model's tokens, which a chat endpoint does not give",
            fix="name a model of this machine with -m, and no endpoint",
        )
    from palaver.engines.completions.open import attach

    server = server_of(settings)
    try:
        return await attach(server, settings.model, settings.tokenizer, settings.context, progress)
    except BaseException:
        await server.close()
        raise


def server_of(settings: Settings) -> Server:
    """Return the server that the settings name; nothing is asked yet. Raises UserError."""
    from palaver.remote.address import base_url
    from palaver.remote.server import Server

    kind = kind_of(settings)
    kind.check()
    if settings.endpoint is None:
        raise UserError(f"{kind.name} needs an address", fix="--endpoint URL")
    if settings.lora:
        raise UserError(f"{kind.name} takes no LoRA adapters", fix="the server has them, as models")
    for name in ("tensor_parallel", "device", "dtype", "quantize"):
        if getattr(settings, name) is not None:
            raise UserError(f"{name} is not for {kind.name}", fix="the server decides that")
    return Server(base_url(settings.endpoint), _key(settings), idle=settings.endpoint_idle)


async def _open_endpoint(settings: Settings, *, raw: bool) -> Opened:
    """Get in touch with the server that has the model. Raises UserError, EngineError."""
    from palaver.models.chat_endpoint.model import ChatEndpoint

    if raw:
        raise UserError("an endpoint gives no tokens: --raw has nothing to show")
    server = server_of(settings)
    try:
        return await ChatEndpoint.open(
            server,
            settings.model,
            context=settings.context,
            effort=settings.reasoning_effort,
            continues=settings.continues,
        )
    except BaseException:
        await server.close()
        raise


def _key(settings: Settings) -> str:
    """Return the endpoint's key: given itself, or in the variable that is named."""
    if settings.endpoint_key or not settings.key_env:
        return (settings.endpoint_key or "").strip()
    key = environment.variable(settings.key_env)
    if key is None:
        raise UserError(f"the variable {settings.key_env} is not set (key_env names it)")
    return key.strip()


def make_format(
    file: ModelFile,
    date: datetime.date | None = None,
    dialect: str | None = None,
    effort: str | None = None,
) -> Format:
    """Make the format of a model: Harmony, its own template, else a built-in one.

    `dialect` names a parser of replies; without it the template says which. `effort` is how long
    a model thinks, where it can be told. Raises UserError for what there is not.
    """
    tokens = file.bos, file.eos, frozenset(file.control)
    if dialect in (None, "harmony") and "<|channel|>" in file.control:
        from palaver.formats.harmony.format import HarmonyFormat, speaks_harmony

        if speaks_harmony(file.control, file.template):
            return HarmonyFormat(file.control, date, effort)
    if file.template:
        return TemplateFormat(file.template, *tokens, date=date, dialect=dialect, effort=effort)
    from palaver.formats.builtin import choose

    return choose(file.metadata, *tokens, date, dialect)

"""From settings to a model and a session: the only place that knows them all."""

from __future__ import annotations

import asyncio
import datetime
import importlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from palaver.chat.calls import done_calls, open_calls
from palaver.chat.work import Workshop
from palaver.config import environment, paths
from palaver.config.settings import Settings, config_file
from palaver.core.errors import UserError
from palaver.core.format import Format
from palaver.core.generation import Sampling
from palaver.core.log import CallStarted, Notice, Row
from palaver.core.model import Opened
from palaver.core.tool import Tool
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.options import ModelFile
from palaver.engines.child.process import Child, Progress
from palaver.engines.registry import Weights, find
from palaver.formats import dialects
from palaver.formats.template import TemplateFormat
from palaver.launch import engine_options, kind_of, runs_here, speaks_chat, start
from palaver.models.kv import States
from palaver.models.local import LocalModel
from palaver.tools import chosen
from palaver.tools.consent import PRESETS, Rules, read_rules
from palaver.tools.consent.trust import STORE, project_rules
from palaver.tools.guard import Guard
from palaver.tools.toolbox import NAMES, Box, load

if TYPE_CHECKING:
    from palaver.engines.completions.engine import Completions
    from palaver.remote.server import Server
    from palaver.tools.hooks import Hooks
    from palaver.tools.sandbox.policy import Kind
    from palaver.tools.sandbox.sandbox import OpenSandbox

DEFAULT_TEMPERATURE = 0.4
PRINTED = "what your own commands printed"


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
        limit = int(settings.kv_disk_gb * (1 << 30)) if keep_states else 0
        return LocalModel(engine, fmt, States(paths.kv_dir(), engine.info.fingerprint, limit))
    except BaseException:
        await engine.close()
        raise


async def _engine(
    settings: Settings,
    starting: Awaitable[Child | None] | None,
    progress: Progress | None,
) -> ChildEngine | Completions:
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
        return await _attach(settings)
    if child.given.engine == "vllm":
        from palaver.engines.vllm.engine import Vllm

        return await Vllm.start(child, env, progress)
    return await ChildEngine.start(child, env, progress)


async def _attach(settings: Settings) -> Completions:
    """Make an engine of a server of others. Raises UserError where it gives no tokens."""
    if speaks_chat(settings):
        raise UserError(
            "this takes a model's tokens, which a chat endpoint does not give",
            fix="name a model of this machine with -m, and no endpoint",
        )
    from palaver.engines.completions.open import attach

    server = server_of(settings)
    try:
        return await attach(server, settings.model, settings.tokenizer, settings.context)
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


def open_guard(
    root: Path, *, preset: str | None, asks: Callable[[], bool], sandboxed: bool
) -> Guard:
    """Make what judges calls, by the rules of the user's config. Raises UserError.

    `preset` takes the place of the config's; `asks` says whether somebody can be asked.
    """
    if preset is not None and preset not in PRESETS:
        raise UserError(f"there is no preset {preset!r}", fix=f"one of {', '.join(PRESETS)}")
    config = config_file()
    own = read_rules(_text_of(config), str(config))
    project, note = project_rules(root, paths.data_dir() / STORE)
    chosen = next((one for one in PRESETS if one == preset), own.preset)
    rules = Rules(chosen, (*project, *own.rules))  # the last that fits counts: the user's own
    return Guard(rules, root, config=config, asks=asks, sandboxed=sandboxed, note=note)


def _text_of(config: Path) -> str:
    try:
        return config.read_text(encoding="utf-8")
    except OSError:  # there is none
        return ""


def hear(guard: Guard, rows: Sequence[Row], tools: str) -> None:
    """Let a guard know what a conversation that is gone on with has read."""
    guard.begin()
    specs = {tool.spec.name: tool.spec for tool in (*load(NAMES), *chosen.tools(tools))}
    if any(isinstance(row.entry, Notice) and row.entry.kind == "exec" for row in rows):
        guard.taint(PRINTED)
    for call in done_calls(rows):
        if call.name in specs:
            guard.learn(call, specs[call.name], network=False)


def cut_patches(rows: Sequence[Row]) -> set[Path]:
    """Return the folders in which a call of apply_patch was under way when the program ended."""
    cut = {call.call.id for call in open_calls(rows) if call.call.name == "apply_patch"}
    begun = [row.entry for row in rows if isinstance(row.entry, CallStarted)]
    return {Path(entry.root) for entry in begun if entry.root and entry.call_id in cut}


def open_hooks() -> Hooks | None:
    """Read which commands the user wants run around calls. Raises UserError."""
    config = config_file()
    text = _text_of(config)
    if "hooks" not in text:
        return None
    from palaver.tools.hooks import read_hooks

    hooks = read_hooks(text, str(config))
    return hooks if hooks.before or hooks.after else None


def open_sandbox(root: Path, *, kind: Kind = "auto") -> OpenSandbox:
    """Make the sandbox that programs of a session run in; "none" is no sandbox at all."""
    from palaver.tools.sandbox import sandbox
    from palaver.tools.sandbox.policy import Policy

    hidden = (paths.config_dir(), paths.data_dir(), paths.state_dir())
    policy = Policy(root, hidden=hidden)
    return sandbox.open_sandbox(policy, environment=environment.everything(), kind=kind)


def open_box(
    tools: Sequence[Tool],
    root: Path,
    guard: Guard | None = None,
    sandbox: OpenSandbox | None = None,
    hooks: Hooks | None = None,
) -> Box:
    """Put tools together with what is around their calls; `hooks` run in the folder `root`."""
    if hooks is None:
        return Box(tools, guard, sandbox)
    from palaver.tools.hooks import HookedBox

    everything = environment.everything()
    return HookedBox(tools, guard, sandbox, hooks=hooks, root=root, environment=everything)


def workshop(
    settings: Settings,
    model: Opened | None,
    root: Path,
    guard: Guard,
    sandbox: OpenSandbox | None = None,
    hooks: Hooks | None = None,
) -> Workshop:
    """Make the tools that are on for a model, working in `root`; none where there is no model.

    Raises UserError for a tool that can't be had.
    """
    tools = chosen.tools(settings.tools, knows=model.info.tools) if model else []
    box = open_box(tools, root, guard, sandbox, hooks)
    context = model.info.context if model else None
    return Workshop(box, root, settings.max_tool_rounds, context)


def sampling(settings: Settings) -> Sampling:
    """Turn settings into sampling; what is unset stays unset, but for two defaults."""
    return Sampling(
        max_tokens=settings.max_tokens,
        temperature=_temperature(settings),
        top_k=settings.top_k,
        top_p=settings.top_p,
        min_p=settings.min_p,
        repeat_penalty=settings.repeat_penalty,
        seed=settings.seed,
        stop=tuple(settings.stop),
    )


def _temperature(settings: Settings) -> float | None:
    """Return what is set, else our default; somebody's server has a default of its own."""
    if settings.temperature is not None or not runs_here(settings):
        return settings.temperature
    return DEFAULT_TEMPERATURE


def signing(settings: Settings) -> tuple[str, str] | None:
    """Read the texts that records are signed with.

    Raises UserError where one of the two is missing, unreadable or empty.
    """
    if settings.kb is None and settings.kernel is None:
        return None
    if settings.kb is None or settings.kernel is None:
        missing = "--kb" if settings.kb is None else "--kernel"
        raise UserError(f"records are signed with a --kb and a --kernel: {missing} is missing")
    return _signing_text(settings.kb), _signing_text(settings.kernel)


def _signing_text(name: str) -> str:
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{name} can't be read: {error.strerror}") from None
    if not text.strip():
        raise UserError(f"{name} is empty: nothing could be signed with it")
    return text

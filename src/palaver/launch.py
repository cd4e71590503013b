"""From settings to an engine's process that loads: what a chat asks for before all else.

Imports little, because the model loads no sooner than this has run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from palaver import demo
from palaver.config import backends, environment, paths
from palaver.config.settings import Settings
from palaver.core.errors import UserError
from palaver.engines import checkpoints
from palaver.engines.child.options import Options
from palaver.engines.child.prespawn import Prespawned
from palaver.engines.child.process import Child
from palaver.engines.registry import Kind, best, find, weights_of

TINY = "palaver-tiny"
EMBEDDED = 2048  # tokens of a text that is made a vector: llama.cpp reads it in one piece


def start(
    settings: Settings,
    waiting: Prespawned | None = None,
    *,
    parallel: int = 1,
    embeddings: bool = False,
) -> Child | None:
    """Start the engine that the settings name, in a process that waits or a new one.

    None where the model runs elsewhere. `parallel` is how many slots it is to have, if it can
    have several; with `embeddings` it makes vectors of texts, too. Raises
    UserError, EngineError; the process that waits is ended then.
    """
    try:
        if not runs_here(settings):
            if waiting:
                waiting.kill()
            return None
        options = engine_options(settings, parallel)
        if embeddings:
            options = with_embeddings(options)
        return Child.start(options, environment.engine_environment(), waiting)
    except BaseException:
        if waiting:
            waiting.kill()
        raise


def with_embeddings(options: Options) -> Options:
    """Return options of an engine that makes vectors, too. Raises UserError where it can't."""
    if options.engine != "llama-cpp":
        raise UserError(f"the engine {options.engine} makes no embeddings", fix="-e llama-cpp does")
    return msgspec.structs.replace(options, embeddings=True, batch=EMBEDDED)


def runs_here(settings: Settings) -> bool:
    """Say whether it is us who run the model. Raises UserError for an engine that is not there."""
    if settings.engine is not None and not (settings.endpoint and find(settings.engine).attached):
        return bool(find(settings.engine).program)
    return settings.endpoint is None


def speaks_chat(settings: Settings) -> bool:
    """Say whether the model is behind a chat endpoint, which gives no tokens."""
    return not runs_here(settings) and kind_of(settings).name == backends.ENDPOINT


def model_name(settings: Settings) -> str:
    """Return the model's name for the list of sessions."""
    return settings.model or (settings.endpoint if not runs_here(settings) else None) or TINY


def kind_of(settings: Settings) -> Kind:
    """Return the engine that the settings name, else the one that suits the model best.

    Raises UserError where there is none of that name, or the model can't be found.
    """
    if settings.engine is not None:
        kind = find(settings.engine)
        return find(kind.attached) if kind.attached and settings.endpoint else kind
    if settings.endpoint:
        return find(backends.ENDPOINT)
    if settings.llama_server:
        return find("llama-server")
    if settings.model is None or settings.model == TINY:
        return find("llama-cpp")
    return best(weights_of(model_path(settings)))


def model_path(settings: Settings) -> Path:
    """Return the file or folder of the model that the settings name; unnamed, the shipped one.

    Raises UserError where it can't be found, with the nearest name.
    """
    if settings.model is None or settings.model == TINY:
        return demo.path()
    if (path := paths.existing(settings.model)) and path.is_file():
        return path
    if checkpoint := checkpoints.find(settings.model, paths.models_dir(), environment.hub_cache()):
        return checkpoint
    from palaver.engines.hub import resolve

    return resolve(settings.model, paths.models_dir())


def engine_options(settings: Settings, parallel: int = 1) -> Options:
    """Turn settings into what an engine is started with.

    Raises UserError where the engine can't run here, or can't run this model.
    """
    path, kind = model_path(settings).absolute(), kind_of(settings)
    kind.check()
    weights = weights_of(path)
    if not kind.suits(weights):
        what = "a GGUF file"
        if weights.format == "safetensors":
            what = f"safetensors of the kind {weights.architecture!r}"
        raise UserError(
            f"the engine {kind.name} can't run {path.name}: that is {what}",
            fix=f"leave --engine out, or use -e {best(weights).name}",
        )
    return Options(
        model=str(path),
        engine=kind.name,
        folder=str(paths.state_dir()),
        slots=str(paths.kv_dir()),
        cache=str(paths.state_dir()),
        context=settings.context,
        parallel=parallel if kind.slots else 1,
        threads=settings.threads,
        kv_type=settings.kv_type,
        memory_limit=settings.memory_limit,
        llama_server=_binary(settings) if kind.name == "llama-server" else None,
        vllm=_vllm(settings) if kind.name == "vllm" else "",
        arguments=tuple(settings.vllm_args),
        ranks=settings.tensor_parallel or 1,
        device=settings.device,
        dtype=settings.dtype,
        quantize=settings.quantize,
        loras=tuple(_lora(text) for text in settings.lora),
    )


def _binary(settings: Settings) -> str:
    return settings.llama_server or "llama-server"  # of PATH


def _vllm(settings: Settings) -> str:
    from palaver.engines.child.owned import find_program

    fix = "pip install vllm (in an environment of its own), and name its program: --vllm PATH"
    return find_program(settings.vllm or shutil.which("vllm") or "vllm", fix)


def _lora(text: str) -> tuple[str, float]:
    path, _, scale = text.rpartition("=")
    try:
        return (path, float(scale)) if path else (text, 1.0)
    except ValueError:
        return text, 1.0

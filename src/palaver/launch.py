"""From settings to an engine's process that loads: what a chat asks for before all else.

Imports little, because the model loads no sooner than this has run.
"""

from __future__ import annotations

from pathlib import Path

from palaver import demo
from palaver.config import environment, paths
from palaver.config.settings import Settings
from palaver.engines.child.options import Options
from palaver.engines.child.prespawn import Prespawned
from palaver.engines.child.process import Child

TINY = "palaver-tiny"


def start(settings: Settings, waiting: Prespawned | None = None) -> Child:
    """Start the engine that the settings name, in a process that waits or a new one.

    Raises UserError, EngineError; the process that waits is ended then.
    """
    try:
        options = engine_options(settings)
        return Child.start(options, environment.engine_environment(), waiting)
    except BaseException:
        if waiting:
            waiting.kill()
        raise


def model_path(settings: Settings) -> Path:
    """Return the file of the model that the settings name, the shipped one without a name.

    Raises UserError where it can't be found, with the nearest name.
    """
    if settings.model is None or settings.model == TINY:
        return demo.path()
    if (path := Path(settings.model).expanduser()).is_file():
        return path
    from palaver.engines.hub import resolve

    return resolve(settings.model, paths.models_dir())


def engine_options(settings: Settings) -> Options:
    """Turn settings into what an engine is started with."""
    return Options(
        model=str(model_path(settings).absolute()),
        folder=str(paths.state_dir()),
        slots=str(paths.kv_dir()),
        cache=str(paths.state_dir()),
        context=settings.context,
        threads=settings.threads,
        kv_type=settings.kv_type,
        memory_limit=settings.memory_limit,
        llama_server=settings.llama_server,
        loras=tuple(_lora(text) for text in settings.lora),
    )


def _lora(text: str) -> tuple[str, float]:
    path, _, scale = text.rpartition("=")
    try:
        return (path, float(scale)) if path else (text, 1.0)
    except ValueError:
        return text, 1.0

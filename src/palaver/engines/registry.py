"""Which engines there are, which of them can run here, and which one a model is run by."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from palaver.core.errors import UserError

_KINDS = "palaver.engines.kinds"

Can = Literal[
    "exact ids",
    "log-probabilities",
    "saved states",
    "LoRA",
    "grammars",  # and JSON Schemas, for whole replies
    "held calls",  # to a grammar, from the token on that begins one
    "batches",  # several prompts at a time
    "tensor parallel",
]


@dataclass(frozen=True)
class Weights:
    """What of a model decides which engine runs it: its files' format and its architecture."""

    format: Literal["gguf", "safetensors"]
    architecture: str = ""  # `model_type` of a config.json


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Kind:
    """One engine, as far as it is known without importing it.

    `program` is what `python -m` runs, nothing where the model runs elsewhere; for hosted ones
    `opener` is the module with `open_model` (see `palaver.engines.host.model`). `suits` says how
    well it runs a model, 0: not at all; the best one that is installed is taken. `needs` are
    modules, `extra` is the extra of palaver that brings them. `hindered` says why this machine
    can't run it. `can` is what it can do; it refuses the rest by name. `retunes`: a new process
    is worth another number of threads. `slots`: it can have several. `by_name`: it is only taken
    where it is asked for. `attached`: the engine that takes its place where it runs already, and
    an endpoint is named.
    """

    name: str
    about: str
    program: tuple[str, ...]
    suits: Callable[[Weights], int]
    opener: str = ""
    needs: tuple[str, ...] = ()
    extra: str = ""
    hindered: Callable[[], str | None] = _nothing
    can: tuple[Can, ...] = ()
    retunes: bool = False
    slots: bool = False
    by_name: bool = False
    attached: str = ""

    @property
    def grammars(self) -> bool:
        """Whether it can hold calls to a grammar."""
        return "held calls" in self.can

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that it needs and that are not installed."""
        return tuple(name for name in self.needs if importlib.util.find_spec(name) is None)

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        from palaver.core import install

        return install.palaver(self.extra)

    def check(self) -> None:
        """Raise UserError where it can't run on this machine, or is not installed."""
        if reason := self.hindered():
            raise UserError(f"the engine {self.name} is not available on this hardware: {reason}")
        if self.missing:
            raise UserError(
                f"the engine {self.name} is not installed: {', '.join(self.missing)} missing",
                fix=self.remedy,
            )


def hosted(name: str) -> tuple[str, ...]:
    """Return the program of an engine that `palaver.engines.host` runs."""
    return ("palaver.engines.host.child", name)


def kinds() -> list[Kind]:
    """Return all engines, by name."""
    from palaver.core import scan

    found: list[Kind] = [scan.load(_KINDS, name, "ENGINE") for name in scan.names(_KINDS)]
    return sorted(found, key=lambda kind: kind.name)


def find(name: str) -> Kind:
    """Return the engine of that name, spelled with - or _; raises UserError with a near one."""
    wanted = name.strip().lower().replace("_", "-")
    if re.fullmatch("[a-z]+(-[a-z]+)*", wanted):
        # Imported by its name: listing the folder would be work before the prompt is drawn.
        with contextlib.suppress(ModuleNotFoundError):
            module = importlib.import_module(f"{_KINDS}.{wanted.replace('-', '_')}")
            kind: Kind = module.ENGINE
            return kind
    import difflib

    from palaver.config import backends, settings

    names = [*(kind.name for kind in kinds()), *settings.named_backends(), *backends.LOCAL]
    begun = [name for name in names if name.startswith(wanted)]  # such as "llama"
    near = begun or difflib.get_close_matches(wanted, names, 1, 0.7)
    raise UserError(
        f"there is no engine {name!r}",
        fix=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}",
    )


def best(weights: Weights) -> Kind:
    """Return the engine that suits a model best, of those that can run here.

    Raises UserError where none can, as the best of the others would.
    """
    ranked = sorted(kinds(), key=lambda kind: -kind.suits(weights))
    suiting = [kind for kind in ranked if kind.suits(weights) and not kind.by_name]
    for kind in suiting:
        if not kind.missing and not kind.hindered():
            return kind
    for kind in suiting:
        if not kind.hindered():
            kind.check()
    raise UserError(f"no engine of palaver reads {weights.format} files on this machine")


def weights_of(path: Path) -> Weights:
    """Say what a model's file or folder holds, by names and config.json alone."""
    if not path.is_dir():
        return Weights("gguf")
    import json

    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Weights("safetensors")
    if not isinstance(config, dict):
        return Weights("safetensors")
    from palaver.engines.gpt_oss.config import is_original

    kind = "gpt_oss" if is_original(config) else config.get("model_type")
    return Weights("safetensors", kind if isinstance(kind, str) else "")

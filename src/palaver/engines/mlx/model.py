"""An mlx-lm model for the host: loaded, run, its cache cut, saved and restored.

Only the host's process imports this module; MLX and mlx-lm load with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.utils import load_adapters, load_model, maybe_set_recommended_wired_limit

from palaver.core import install
from palaver.core.errors import UserError
from palaver.engines.child.options import ModelFile, Options
from palaver.engines.host import headers
from palaver.engines.host.folder import Folder, check_memory
from palaver.engines.host.model import Say
from palaver.engines.mlx import cache

_PROCESS = 500_000_000  # bytes: Python, MLX, mlx-lm and transformers' tokenizers


class MlxModel:
    """A `palaver.engines.host.model.HostedModel`."""

    def __init__(self, model: Any, folder: Folder, file: ModelFile) -> None:
        self.file = file
        self.vocabulary = folder.vocabulary()
        self.tokens = int(folder.text.get("vocab_size") or self.vocabulary.size)
        self.ends = folder.ends(self.vocabulary)
        self._model = model
        self._cache = cache.make(model)
        self._length = 0

    def forward(self, ids: Sequence[int]) -> Any:
        """Run `ids` after what the cache holds; return the last position's logits."""
        found = self._model(mx.array([ids]), cache=self._cache)[0, -1].astype(mx.float32)
        cache.evaluate(found, self._cache)
        self._length += len(ids)
        return np.array(found)

    def crop(self, length: int) -> int:
        """Cut the cache back; one with a running state begins anew."""
        if length >= self._length:
            return self._length
        if length and cache.cut(self._cache, self._length - length):
            self._length = length
        else:
            self._cache = cache.make(self._model)
            self._length = 0
        return self._length

    def save(self, path: Path, ids: Sequence[int]) -> None:
        """Write the cache and its ids to a safetensors file."""
        cache.save(path, self._cache, ids)

    def restore(self, path: Path) -> list[int]:
        """Replace the cache by a file's; return its ids."""
        self.crop(0)
        fresh = cache.make(self._model)
        ids = cache.restore(path, fresh)
        self._cache, self._length = fresh, len(ids)
        return ids


def open_model(options: Options, say: Say) -> MlxModel:
    """Check a folder and load it; raises UserError for what can't be used."""
    _refuse(options)
    folder = Folder(Path(options.model))
    vocabulary = folder.vocabulary()
    context = folder.context(options)
    weights = sum(tensor.bytes for tensor in folder.tensors)
    kv = folder.kv_bytes(mx.float32.size if options.dtype == "float32" else mx.bfloat16.size)
    rest = _PROCESS + 4 * options.batch * int(folder.text.get("vocab_size") or vocabulary.size)
    check_memory(options.memory_limit, folder.name, context, weights=weights, kv=kv, rest=rest)
    if options.memory_limit is not None:
        _limit(options.memory_limit)
    if not mx.metal.is_available():
        say("MLX runs on the processor here: slow")
    model = _load(folder, options)
    maybe_set_recommended_wired_limit()
    build = f"mlx {metadata.version('mlx')} mlx-lm {metadata.version('mlx-lm')}"
    file = folder.describe(
        options,
        vocabulary,
        build=f"{build} {mx.default_device()}",
        weights=weights,
        kv=kv,
        cut_back=cache.can_cut(cache.make(model)),
    )
    return MlxModel(model, folder, file)


def _refuse(options: Options) -> None:
    """Raise UserError for settings that this engine can't follow."""
    if options.ranks > 1:
        raise UserError(
            "the engine mlx runs in one process", fix="--tensor-parallel is for -e transformers"
        )
    if options.device not in (None, "auto"):
        raise UserError(
            f"device = {options.device!r}: MLX takes the GPU where there is one",
            fix="leave --device out",
        )
    if options.quantize:
        raise UserError(
            "the engine mlx does not quantise while loading",
            fix="mlx_lm.convert -q makes a quantised model; -e transformers takes --quantize",
        )
    if options.kv_type not in ("f16", "auto"):
        raise UserError(f"kv_type = {options.kv_type!r}: the cache has the model's own type here")
    if len(options.loras) > 1:
        raise UserError("the engine mlx takes one adapter", fix="leave the others out")


def _limit(gb: float) -> None:
    """Hold MLX to `gb` (10^9 bytes); a quarter of it for what it keeps to use again."""
    mx.set_memory_limit(int(gb * 1e9))
    mx.set_cache_limit(int(gb * 1e9) // 4)


def _load(folder: Folder, options: Options) -> Any:
    """Load weights and adapter; raises UserError for what mlx-lm can't use.

    `Folder` has checked its files, so that MLX's own reader gets none that is damaged.
    """
    try:
        model, _ = load_model(folder.path, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise UserError(
            f"mlx-lm can't use {folder.name}: {_first(error)}",
            fix=f"a newer mlx-lm may: {install.pip('--upgrade mlx-lm')}",
        ) from None
    if options.dtype is not None:
        model.set_dtype(getattr(mx, options.dtype))
    for path, scale in options.loras:
        headers.read_all(Path(path))
        try:
            load_adapters(model, path)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError) as error:
            raise UserError(
                f"{path} can't be used as an adapter of {folder.name}: {_first(error)}",
                fix="the engine mlx takes folders as mlx_lm.lora writes them",
            ) from None
        for _, part in model.named_modules():
            if "lora_a" in part:
                part.scale *= scale
    model.eval()
    return model


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__

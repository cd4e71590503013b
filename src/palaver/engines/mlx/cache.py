"""mlx-lm's prompt cache, cut back at any place, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import (
    KVCache,
    RotatingKVCache,
    can_trim_prompt_cache,
    make_prompt_cache,
    trim_prompt_cache,
)

from palaver.core.errors import UserError


class WholeCache(KVCache):  # type: ignore[misc]
    """A layer with a window that keeps what has left the window, and masks it.

    mlx-lm's own layer writes over it, and can't be cut back after that.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window

    def make_mask(
        self,
        N: int,  # noqa: N803  (mlx-lm's name)
        return_array: bool = False,
        window_size: int | None = None,
    ) -> Any:
        """Return what `N` new tokens may look at, as mlx-lm's models ask for it."""
        window = window_size or self._window
        needed = window if self.offset + N > window else None
        return super().make_mask(N, return_array=return_array, window_size=needed)


def make(model: Any) -> list[Any]:
    """Make an empty cache for a model."""
    layers = make_prompt_cache(model)
    return [WholeCache(c.max_size) if _windowed(c) else c for c in layers]


def _windowed(layer: Any) -> bool:
    return type(layer) is RotatingKVCache and layer.keep == 0


def can_cut(cache: list[Any]) -> bool:
    """Say whether a cache can be cut at any place, whatever it holds."""
    return all(type(layer) in (KVCache, WholeCache) for layer in cache)


def cut(cache: list[Any], count: int) -> bool:
    """Forget the last `count` tokens; say whether that was possible."""
    if not can_trim_prompt_cache(cache):
        return False
    return int(trim_prompt_cache(cache, count)) == count


def evaluate(logits: Any, cache: list[Any]) -> None:
    """Compute what is asked and all that the cache holds: MLX puts it off until it is used."""
    mx.eval(logits, [layer.state for layer in cache])


def save(path: Path, cache: list[Any], ids: Sequence[int]) -> None:
    """Write a cache and its ids as safetensors; raises UserError for a running state."""
    if not can_cut(cache):
        raise UserError("this model's running state can't be saved")
    arrays = {"ids": mx.array(list(ids), dtype=mx.uint32)}
    for number, layer in enumerate(cache):
        if layer.offset:
            keys, values = layer.keys_and_values()
            arrays |= {f"{number}.keys": keys, f"{number}.values": values}
    with path.open("wb") as file:
        mx.save_safetensors(file, arrays)


def restore(path: Path, cache: list[Any]) -> list[int]:
    """Fill an empty cache from a file; return the ids that it holds.

    Raises ValueError where the file is of another model.
    """
    arrays: Any = mx.load(str(path), format="safetensors")
    ids: list[int] = arrays.pop("ids").tolist()
    for number, layer in enumerate(cache):
        keys, values = arrays.pop(f"{number}.keys", None), arrays.pop(f"{number}.values", None)
        if keys is None or values is None or keys.shape[2] != len(ids):
            raise ValueError("the state is of another model")
        layer.state = keys, values, len(ids)
    if arrays:
        raise ValueError("the state is of another model")
    return ids

"""The KV cache of a transformers model: grown without copying, cut back at any place."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

_FIRST = 256  # tokens of room in the beginning; doubles when it is full


class Room(DynamicLayer):  # type: ignore[misc]
    """A layer that keeps every token, in room that doubles.

    transformers' own layer copies the whole cache for every token. Its sliding-window layer
    throws away what has left the window and can't be cut back after that; with everything kept
    the attention mask alone makes the window (`masking_utils` takes sizes from the cache).
    """

    _keys: Tensor
    _values: Tensor

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write behind what is there; return views of all of it."""
        begin = self.get_seq_length()
        end = begin + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._keys = _room(key_states, end)
            self._values = _room(value_states, end)
        elif end > self._keys.shape[-2]:
            self._keys = _grown(self._keys, begin, end)
            self._values = _grown(self._values, begin, end)
        self._keys[..., begin:end, :] = key_states
        self._values[..., begin:end, :] = value_states
        self.keys = self._keys[..., :end, :]
        self.values = self._values[..., :end, :]
        return self.keys, self.values

    def cut(self, length: int) -> None:
        """Forget what stands behind the first `length` tokens."""
        if self.is_initialized:
            self.keys = self._keys[..., :length, :]
            self.values = self._values[..., :length, :]

    def select(self, rows: Tensor) -> None:
        """Keep these rows of a batch alone."""
        if self.is_initialized:
            self._keys, self._values = self._keys[rows], self._values[rows]
            self.cut(self.keys.shape[-2])


def _room(like: Tensor, length: int) -> Tensor:
    size = _FIRST
    while size < length:
        size *= 2
    return like.new_empty((*like.shape[:-2], size, like.shape[-1]))


def _grown(old: Tensor, used: int, length: int) -> Tensor:
    new = _room(old, length)
    new[..., :used, :] = old[..., :used, :]
    return new


def make(config: Any) -> DynamicCache:
    """Make an empty cache for a model."""
    cache = DynamicCache(config=config)
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    cache.layers = [Room() if type(layer) in plain else layer for layer in cache.layers]
    if not cache.layers:  # made one by one as they are used
        cache.layer_class_to_replicate = Room
    return cache


def can_cut(cache: DynamicCache) -> bool:
    """Say whether a cache can be cut at any place: not where a layer keeps a running state."""
    return all(isinstance(layer, Room | DummyLayer) for layer in cache.layers)


def cut(cache: DynamicCache, length: int) -> None:
    """Cut every layer of a cache that `can_cut`."""
    for layer in cache.layers:
        if isinstance(layer, Room):
            layer.cut(length)


def select(cache: DynamicCache, rows: Tensor) -> None:
    """Keep these rows of a batch's cache alone, one that `can_cut`."""
    for layer in cache.layers:
        if isinstance(layer, Room):
            layer.select(rows)


def tensors(cache: DynamicCache) -> dict[str, Tensor]:
    """Return what a saved state holds: keys and values of each layer."""
    found = {}
    for i, layer in enumerate(cache.layers):
        if isinstance(layer, Room) and layer.is_initialized:
            found[f"{i}.keys"] = layer.keys.contiguous()
            found[f"{i}.values"] = layer.values.contiguous()
    return found


def fill(cache: DynamicCache, saved: dict[str, Tensor]) -> None:
    """Fill an empty cache; raises KeyError, ValueError where a state is of another model."""
    for i, layer in enumerate(cache.layers):
        if f"{i}.keys" in saved:
            layer.update(saved.pop(f"{i}.keys"), saved.pop(f"{i}.values"))
    if saved:
        raise ValueError(f"the state holds layers that the model lacks: {sorted(saved)[:2]}")

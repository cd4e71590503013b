"""The network of gpt-oss: ids in, logits out, keys and values kept.

All layers keep the keys of all tokens, those with a window too: a cache that can be cut back at
any place is worth the memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from palaver.engines.gpt_oss import kernels
from palaver.engines.gpt_oss.config import Config, Rope
from palaver.engines.gpt_oss.weights import Layer, Weights


class Cache:
    """Keys and values of the tokens read so far, `length` of at most `room`.

    `keys` and `values` have the shape (layers, K, room, D); only the first `length` of each are
    set. The system gives memory to what is written, so an empty cache takes next to none.
    """

    def __init__(self, config: Config, room: int, dtype: torch.dtype, device: str) -> None:
        shape = (config.layers, config.kv_heads, room, config.head)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0

    @property
    def room(self) -> int:
        """How many tokens fit."""
        return int(self.keys.shape[2])

    def put(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add `keys` and `values` (n, K, D) after `length`; return all of the layer (K, m, D)."""
        end = self.length + len(keys)
        self.keys[layer, :, self.length : end] = keys.transpose(0, 1)
        self.values[layer, :, self.length : end] = values.transpose(0, 1)
        return self.keys[layer, :, :end], self.values[layer, :, :end]

    def held(self) -> tuple[Tensor, Tensor]:
        """Return copies of the keys and values that are set: (layers, K, length, D)."""
        parts = (self.keys, self.values)
        keys, values = (part[:, :, : self.length].contiguous() for part in parts)
        return keys, values

    def fill(self, keys: Tensor, values: Tensor) -> None:
        """Set what `held` returned. Raises RuntimeError where it is of another shape."""
        length = keys.shape[2]
        self.keys[:, :, :length] = keys
        self.values[:, :, :length] = values
        self.length = length


class Network:
    """A model whose weights are loaded: https://arxiv.org/abs/2508.10925 describes it.

    A layer is attention and then a mixture of experts, each behind a norm and added to its input.
    """

    def __init__(self, config: Config, weights: Weights) -> None:
        self.config = config
        self.weights = weights
        self._rope = self._rope_table(1024)

    def forward(self, ids: Sequence[int], cache: Cache) -> Tensor:
        """Run `ids` (at least one) after what `cache` holds, which grows by them.

        Returns the logits of the last one: float32, (vocabulary,). Raises ValueError where the
        cache has no room for them, IndexError for an id that is no token.
        """
        start, end = cache.length, cache.length + len(ids)
        if not ids or end > cache.room:
            raise ValueError(f"{len(ids)} tokens after {start} of {cache.room}")
        if not 0 <= min(ids) <= max(ids) < self.config.vocabulary:
            raise IndexError("an id that is no token")
        with torch.inference_mode():
            return self._forward(ids, cache, start, end)

    def _forward(self, ids: Sequence[int], cache: Cache, start: int, end: int) -> Tensor:
        device = self.weights.embedding.device
        x = F.embedding(torch.tensor(list(ids), device=device), self.weights.embedding)
        if end > len(self._rope[0]):
            self._rope = self._rope_table(max(end, min(2 * end, self.config.context)))
        rope = self._rope[0][start:end], self._rope[1][start:end]
        for number, layer in enumerate(self.weights.layers):
            x = x + self._attend(x, number, layer, rope, cache)
            x = x + self._experts(x, layer)
        cache.length = end
        last = kernels.norm(x[-1:], self.weights.norm, self.config.epsilon)
        return kernels.product(last, self.weights.unembedding)[0].float()

    def _rope_table(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the cosines and sines of the first positions (count, 1, D), for `rotate`."""
        speeds, scale = frequencies(self.config.rope, self.config.head)
        angles = torch.arange(count)[:, None] * speeds
        cosine, sine = angles.cos() * scale, angles.sin() * scale
        both = torch.cat((cosine, cosine), -1)[:, None], torch.cat((-sine, sine), -1)[:, None]
        device = self.weights.embedding.device
        return both[0].to(device), both[1].to(device)

    def _attend(
        self, x: Tensor, number: int, of: Layer, rope: tuple[Tensor, Tensor], cache: Cache
    ) -> Tensor:
        """Return what the attention of layer `number` makes of `x` (n, W), the same shape."""
        c = self.config
        seen = kernels.norm(x, of.attention_norm, c.epsilon)
        heads = kernels.product(seen, of.qkv, of.qkv_bias).view(len(x), -1, c.head)
        rotated = kernels.rotate(heads[:, : -c.kv_heads], *rope)
        q, k = rotated.split((c.heads, c.kv_heads), dim=1)
        v = heads[:, -c.kv_heads :]
        keys, values = cache.put(number, k, v)
        mixed = kernels.attention(q, keys, values, of.sinks, c.windows[number])
        return kernels.product(mixed, of.out, of.out_bias)

    def _experts(self, x: Tensor, of: Layer) -> Tensor:
        """Return what the chosen experts of a layer make of `x` (n, W), the same shape."""
        c = self.config
        seen = kernels.norm(x, of.experts_norm, c.epsilon)
        best = kernels.product(seen, of.router, of.router_bias).topk(c.chosen, dim=-1)
        shares = best.values.softmax(-1, dtype=torch.float32)
        return kernels.mixture(seen, of.experts, best.indices, shares, c.alpha, c.limit)


def frequencies(rope: Rope, head: int) -> tuple[Tensor, float]:
    """Return the angle by which each pair of a head turns a token, (D / 2,), and YaRN's scale.

    Pairs that turn often within the trained length keep their speed, those that turn rarely are
    slowed by `factor`, those between in part (https://arxiv.org/abs/2309.00071, section 3.2).
    """
    half = head // 2
    speeds = 1 / rope.theta ** (torch.arange(half, dtype=torch.float32) / half)
    if rope.factor <= 1:
        return speeds, 1.0

    def pair(turns: float) -> float:
        """Return the number of the pair that makes so many turns."""
        return half * math.log(rope.trained / (turns * 2 * math.pi)) / math.log(rope.theta)

    low, high = pair(rope.fast), pair(rope.slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0.0), min(high, head - 1.0)
    ramp = (torch.arange(half, dtype=torch.float32) - low) / (high - low or 0.001)
    slowed = ramp.clamp(0, 1)
    scale = rope.scale if rope.scale is not None else 0.1 * math.log(rope.factor) + 1
    return speeds * (1 - slowed) + speeds / rope.factor * slowed, scale

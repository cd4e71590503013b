"""How much memory a model will take, from its metadata, before anything is loaded.

The estimate is an upper bound for xllamacpp's CPU build: `tests/gguf/test_memory.py` compares it
with the resident memory of real children. Where the numbers come from:

* weights: the file is mapped, and matrices of some types are copied into a layout that suits
  the processor's instructions (llama.cpp's CPU_REPACK buffer), so those count twice;
* cache: `n_ctx` cells for each layer that looks at everything, window + batch for each that
  doesn't, rounded up to 256; a fixed 32-bit state for each recurrent layer;
* checkpoints: where the cache can't be cut back, llama.cpp's server keeps up to
  `n_ctx_checkpoints` copies of what can't be cut (windows and states), two a turn;
* buffers: measured, batch x 4 bytes x (3 x feed-forward + 5 x width) and 2 bytes for each pair of
  a batch's token and a cache cell; taken here with some room, and more for experts and states.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from palaver.core.errors import UserError
from palaver.core.units import readable
from palaver.engines.llama_cpp.attention import UNQUANTISED
from palaver.engines.llama_cpp.gguf import Gguf
from palaver.engines.llama_cpp.gguf_parse import per_layer
from palaver.engines.llama_cpp.gguf_types import KV_TYPES

STEP = 256  # llama.cpp rounds contexts up to this many tokens
CHECKPOINTS = 8  # states that llama.cpp keeps of caches that can't be cut back; 32 is its default
_PROCESS = 64_000_000  # Python, the wheel's library, its graph and threads (48 MB measured)
_PER_TOKEN = 640  # bytes of the tokenizer for each token it knows (400 measured)
_REPACKED_X86 = {"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}
_REPACKED_ARM = _REPACKED_X86 | {"Q8_0", "Q5_K", "Q6_K", "Q2_K"}


class Estimate(Struct, frozen=True):
    """Bytes: mapped and repacked weights, cache with its checkpoints, buffers, the process."""

    weights: int
    kv: int
    checkpoints: int
    compute: int
    scores: int  # of attention without flash: touched as the context fills
    process: int
    context: int

    @property
    def total(self) -> int:
        """All of it."""
        cache = self.kv + self.checkpoints
        return self.weights + cache + self.compute + self.scores + self.process


def estimate(
    model: Gguf,
    context: int,
    *,
    kv_type: str = "f16",
    batch: int = 256,
    loras: Sequence[Path] = (),
    checkpoints: int = CHECKPOINTS,
    parallel: int = 1,
) -> Estimate:
    """Estimate what a child takes with `parallel` contexts of `context` tokens, in bytes.

    Raises UserError for a cache type that does not exist or that does not suit the model.
    """
    _check_kv_type(model, kv_type)
    context = -(-context // STEP) * STEP
    width = KV_TYPES[kv_type]
    full = windowed = states = saved = 0
    for layer in model.kept():
        if layer.window:
            cells = min(context, -(-(layer.window + batch) // STEP) * STEP)
            windowed += round(cells * (layer.k + layer.v) * width)
            saved += round(min(layer.window, context) * (layer.k + layer.v) * width)
        else:
            full += round(context * (layer.k + layer.v) * width)
        states += layer.state
    adapters = sum(path.stat().st_size for path in loras if path.is_file())
    return Estimate(
        weights=model.size + _repacked(model) + adapters,
        kv=parallel * (full + windowed + states),
        checkpoints=parallel * checkpoints * (saved + states),
        compute=_compute(model, context, batch),
        scores=_scores(model, context, batch) if kv_type in UNQUANTISED else 0,
        process=_PROCESS + _PER_TOKEN * model.vocabulary,
        context=context,
    )


def largest_context(model: Gguf, limit: int, most: int, **settings: Any) -> int:
    """Return the largest multiple of 256 up to `most` whose estimate fits `limit` bytes, or 0."""
    low, high = 0, most // STEP
    while low < high:
        middle = (low + high + 1) // 2
        if estimate(model, middle * STEP, **settings).total <= limit:
            low = middle
        else:
            high = middle - 1
    return low * STEP


def check(limit_gb: float, model: Gguf, context: int, **settings: Any) -> Estimate:
    """Return the estimate if it fits `limit_gb` (10^9 bytes); `settings` as in `estimate`.

    Raises UserError with the numbers and the largest context that would fit.
    """
    need = estimate(model, context, **settings)
    limit = int(limit_gb * 1e9)
    if need.total <= limit:
        return need
    fits = largest_context(model, limit, need.context, **settings)
    parts = f"weights {readable(need.weights)}, cache {readable(need.kv + need.checkpoints)}, "
    parts += f"buffers {readable(need.compute + need.scores + need.process)}"
    reason = (
        f"{model.path.name} with a context of {need.context:,} tokens needs {readable(need.total)} "
        f"({parts}); the limit is {readable(limit)}"
    )
    if fits:
        raise UserError(reason, fix=f"Use --context {fits}, which fits, or a larger limit.")
    raise UserError(
        reason,
        fix="No context fits: use a smaller quantisation of the model, or a larger limit.",
    )


def _check_kv_type(model: Gguf, kv_type: str) -> None:
    if kv_type not in KV_TYPES:
        known = ", ".join(sorted(KV_TYPES))
        raise UserError(f"the cache type {kv_type!r} does not exist", fix=f"Use one of {known}.")
    if KV_TYPES[kv_type] != int(KV_TYPES[kv_type]):  # quantised, in blocks of 32
        heads = per_layer(model.metadata, f"{model.architecture}.attention.head_count", 1) or [0]
        plain = model.key("embedding_length") // max(heads[0], 1)
        for name in ("key_length", "value_length"):
            size = model.key(f"attention.{name}", plain)
            if heads[0] and size % 32:
                raise UserError(
                    f"{model.path.name} has attention heads of {size} values, which the cache "
                    f"type {kv_type} can't store in blocks of 32",
                    fix='Use kv_type = "f16".',
                )


def _repacked(model: Gguf) -> int:
    """Return the bytes of the matrices that are copied into another layout at load."""
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
    types = _REPACKED_X86 if x86 else _REPACKED_ARM
    return sum(t.bytes for t in model.tensors if t.type in types and len(t.shape) > 1)


def _number(model: Gguf, name: str, default: int = 0) -> int:
    """Return a whole number of the metadata; the largest where it differs by layer."""
    values = per_layer(model.metadata, f"{model.architecture}.{name}", 1)
    return max(values, default=default) if values is not None else default


def _scores(model: Gguf, context: int, batch: int) -> int:
    """Return the bytes of attention's scores: a number (f32) a head, token and cached token."""
    return 4 * batch * context * _number(model, "attention.head_count")


def _compute(model: Gguf, context: int, batch: int) -> int:
    """Return an upper bound of the other buffers of one step over `batch` tokens."""
    width = _number(model, "embedding_length")
    heads = _number(model, "attention.head_count")
    k = _number(model, "attention.key_length", width // max(heads, 1))
    v = _number(model, "attention.value_length", width // max(heads, 1))
    feed = _number(model, "feed_forward_length")
    used = _number(model, "expert_used_count")
    if used:
        expert = _number(model, "expert_feed_forward_length", feed)
        shared = _number(model, "expert_shared_feed_forward_length", expert)
        shared *= _number(model, "expert_shared_count", 1)
        feed = max(feed, used * expert + shared) + used * width
    inner = _number(model, "ssm.inner_size") + 3 * width * bool(_number(model, "shortconv.l_cache"))
    inner = max(inner, 4 * width if _number(model, "wkv.head_size") else 0)
    inner = max(inner, heads * _number(model, "kda.head_dim"))
    latent = heads * _number(model, "attention.kv_lora_rank")
    # 3 x feed-forward and 5 x width were measured for plain transformers
    a_token = 3 * feed + 7 * width + 2 * heads * max(k, v) + 2 * latent + 12 * inner
    masks = 2 if any(layer.window for layer in model.kept()) else 1
    states = max((layer.state for layer in model.kept()), default=0)
    logits = 8 * model.vocabulary
    return batch * (4 * a_token + 2 * masks * context) + 4 * states + logits

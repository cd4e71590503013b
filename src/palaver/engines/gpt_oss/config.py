"""The shape of a gpt-oss model: its config.json, in the original layout or Hugging Face's.

The original layout is that of https://github.com/openai/gpt-oss (`gpt_oss/torch/model.py`), the
other that of transformers' GptOssConfig.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from palaver.core.errors import UserError

ALPHA, LIMIT, EPSILON = 1.702, 7.0, 1e-5  # of SwiGLU, its clamp, and RMSNorm


class Rope(Struct, frozen=True):
    """Rotary positions; YaRN (https://arxiv.org/abs/2309.00071) where `factor` is over 1."""

    theta: float
    factor: float = 1.0
    slow: float = 1.0  # turns within `trained` that a pair is slowed in full at or below
    fast: float = 32.0  # and those that it keeps its speed at or above
    trained: int = 4096  # tokens that the model saw before YaRN stretched them
    truncate: bool = False  # whole numbers for the ends of the ramp
    scale: float | None = None  # of cosines and sines; None is the paper's


class Config(Struct, frozen=True):
    """Sizes of a model. `windows` has a number a layer: the tokens it looks at, 0 for all."""

    original: bool
    vocabulary: int
    width: int  # of a token's vector
    inner: int  # of an expert
    experts: int
    chosen: int  # experts that a token goes through in each layer
    heads: int
    kv_heads: int
    head: int  # values of one head
    windows: tuple[int, ...]
    context: int
    rope: Rope
    tied: bool = False  # the unembedding is the embedding
    alpha: float = ALPHA
    limit: float = LIMIT
    epsilon: float = EPSILON

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return len(self.windows)

    @property
    def kv_values(self) -> int:
        """Numbers that one token puts into the cache."""
        return 2 * self.layers * self.kv_heads * self.head


def read(said: Mapping[str, Any], path: Path) -> Config:
    """Read what the config.json at `path` says.

    Raises UserError where it is of another model or holds impossible sizes.
    """
    if said.get("model_type") == "gpt_oss":
        config = _transformers(_Fields(said, path))
    elif is_original(said):
        config = _original(_Fields(said, path))
    else:
        kind = said.get("model_type")
        raise UserError(
            f"{path} is not of a gpt-oss model" + (f" but of {kind!r}" if kind else ""),
            fix="use -e transformers for other models",
        )
    _check(config, path)
    return config


def is_original(said: Mapping[str, Any]) -> bool:
    """Whether a config.json is one of OpenAI's own layout, which names no type of model."""
    return "model_type" not in said and {"experts_per_token", "rope_ntk_beta"} <= said.keys()


class _Fields:
    """Numbers of a JSON object, with errors that name the file and the field."""

    def __init__(self, said: Mapping[str, Any], path: Path) -> None:
        self.said = said
        self.path = path

    def number(self, name: str, default: float | None = None) -> float:
        value = self.said.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**40:
            raise _wrong(self.path, f"{name} is {value!r}, not a number above 0")
        return float(value)

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.number(name, default)
        if value != int(value):
            raise _wrong(self.path, f"{name} is {value!r}, not a whole number")
        return int(value)

    def inside(self, name: str) -> _Fields | None:
        value = self.said.get(name)
        return _Fields(value, self.path) if isinstance(value, dict) else None


def _original(said: _Fields) -> Config:
    window = said.whole("sliding_window", 128)
    factor = said.number("rope_scaling_factor", 32.0)
    trained = said.whole("initial_context_length", 4096)
    layers = _layers(said)
    return Config(
        original=True,
        vocabulary=said.whole("vocab_size"),
        width=said.whole("hidden_size"),
        inner=said.whole("intermediate_size"),
        experts=said.whole("num_experts"),
        chosen=said.whole("experts_per_token", 4),
        heads=said.whole("num_attention_heads"),
        kv_heads=said.whole("num_key_value_heads"),
        head=said.whole("head_dim", 64),
        windows=tuple(0 if n % 2 else window for n in range(layers)),
        context=int(trained * max(factor, 1.0)),
        rope=Rope(
            theta=said.number("rope_theta", 150000.0),
            factor=factor,
            slow=said.number("rope_ntk_alpha", 1.0),
            fast=said.number("rope_ntk_beta", 32.0),
            trained=trained,
        ),
        limit=said.number("swiglu_limit", LIMIT),
    )


def _transformers(said: _Fields) -> Config:
    packing = said.inside("quantization_config")
    if packing and packing.said.get("quant_method") != "mxfp4":
        raise UserError(
            f"{said.path}: weights quantised by {packing.said.get('quant_method')!r}",
            fix="the engine gpt-oss reads MXFP4, bfloat16, float16 and float32.",
        )
    heads = said.whole("num_attention_heads", 64)
    width = said.whole("hidden_size", 2880)
    return Config(
        original=False,
        vocabulary=said.whole("vocab_size", 201088),
        width=width,
        inner=said.whole("intermediate_size", 2880),
        experts=said.whole("num_local_experts", 128),
        chosen=said.whole("num_experts_per_tok", 4),
        heads=heads,
        kv_heads=said.whole("num_key_value_heads", 8),
        head=said.whole("head_dim", 64),
        windows=_windows(said),
        context=said.whole("max_position_embeddings", 131072),
        rope=_rope(said),
        tied=said.said.get("tie_word_embeddings") is True,
        alpha=said.number("swiglu_alpha", ALPHA),
        limit=said.number("swiglu_limit", LIMIT),
        epsilon=said.number("rms_norm_eps", EPSILON),
    )


def _layers(said: _Fields) -> int:
    layers = said.whole("num_hidden_layers", 36)
    if layers > 1024:
        raise _wrong(said.path, f"{layers:,} layers")
    return layers


def _windows(said: _Fields) -> tuple[int, ...]:
    layers = _layers(said)
    window = said.whole("sliding_window", 128)
    kinds = said.said.get("layer_types")
    if kinds is None:
        return tuple(0 if n % 2 else window for n in range(layers))
    sizes = {"sliding_attention": window, "full_attention": 0}
    if not isinstance(kinds, list) or len(kinds) != layers or not all(k in sizes for k in kinds):
        raise _wrong(said.path, f"layer_types does not name {layers} kinds of attention")
    return tuple(sizes[kind] for kind in kinds)


def _rope(said: _Fields) -> Rope:
    """Read `rope_parameters`, or `rope_scaling` with `rope_theta`, as older files have it."""
    scaling = said.inside("rope_parameters") or said.inside("rope_scaling")
    if scaling is None:
        raise _wrong(said.path, "neither rope_parameters nor rope_scaling")
    theta = scaling.said.get("rope_theta", said.said.get("rope_theta"))
    theta = _Fields({"rope_theta": theta}, said.path).number("rope_theta", 150000.0)
    kind = scaling.said.get("rope_type", scaling.said.get("type", "default"))
    if kind == "default":
        return Rope(theta)
    if kind != "yarn":
        raise _wrong(said.path, f"positions of the kind {kind!r}, not yarn")
    scale = scaling.said.get("attention_factor")
    return Rope(
        theta=theta,
        factor=scaling.number("factor"),
        slow=scaling.number("beta_slow", 1.0),
        fast=scaling.number("beta_fast", 32.0),
        trained=scaling.whole("original_max_position_embeddings", 4096),
        truncate=scaling.said.get("truncate", True) is not False,
        scale=None if scale is None else scaling.number("attention_factor"),
    )


def _check(config: Config, path: Path) -> None:
    """Raise UserError for sizes that don't go together."""
    wrong = None
    if config.heads % config.kv_heads:
        wrong = f"{config.heads} heads don't share {config.kv_heads} key heads evenly"
    elif config.head % 2:
        wrong = f"a head of {config.head} values can't be rotated in pairs"
    elif config.chosen > config.experts:
        wrong = f"{config.chosen} of {config.experts} experts can't be chosen"
    elif not math.isfinite(config.rope.theta) or config.rope.theta <= 1:
        wrong = f"rope_theta is {config.rope.theta}"
    if wrong:
        raise _wrong(path, wrong)


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}", fix="get the config.json that belongs to the checkpoint")

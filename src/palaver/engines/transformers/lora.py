"""LoRA adapters, as peft writes them, added to a model's weights while it is loaded.

W + scale * alpha / rank * B @ A (https://arxiv.org/abs/2106.09685); `use_rslora` divides by the
rank's square root (https://arxiv.org/abs/2312.03732).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from palaver.core.errors import UserError
from palaver.engines.host import headers

_BEFORE = ("base_model.model.", "base_model.")


class Adapter(msgspec.Struct, frozen=True):
    """One adapter: by the name of a module the pair (A, B), and what their product counts."""

    path: Path
    pairs: dict[str, tuple[Tensor, Tensor]]
    factor: float


def read(path: Path, scale: float) -> Adapter:
    """Read a folder with adapter_config.json and safetensors; raises UserError."""
    try:
        config: dict[str, Any] = msgspec.json.decode((path / "adapter_config.json").read_bytes())
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{path} is no LoRA adapter for transformers: it needs a usable adapter_config.json",
            fix="name the adapter's folder; GGUF adapters are for llama-cpp",
        ) from None
    for odd in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save"):
        if config.get(odd):
            raise UserError(f"{path}: adapters with {odd} can't be used")
    tensors: dict[str, Tensor] = {}
    for header in headers.read_all(path):
        tensors |= safetensors.torch.load_file(str(header.path))
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for name, a in tensors.items():
        if name.endswith(".lora_A.weight"):
            at = name.removesuffix(".lora_A.weight")
            b = tensors.get(f"{at}.lora_B.weight")
            if b is None:
                raise UserError(f"{path} lacks the other half of {name}")
            pairs[_module(at)] = (a, b)
    if 2 * len(pairs) != len(tensors):
        raise UserError(f"{path} holds more than LoRA matrices, or none of them")
    return Adapter(
        path, pairs, scale * alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    )


def _module(name: str) -> str:
    for before in _BEFORE:
        if name.startswith(before):
            return name.removeprefix(before)
    return name


def merge(model: Any, adapter: Adapter) -> None:
    """Add an adapter to the model's weights; raises UserError where it does not fit."""
    modules = dict(model.named_modules())
    for name, (a, b) in adapter.pairs.items():
        weight = getattr(modules.get(name), "weight", None)
        if weight is None or weight.shape != (b.shape[0], a.shape[1]):
            raise UserError(f"{adapter.path} is not for this model: {name} does not fit")
        with torch.no_grad():
            change = adapter.factor * (b.to(weight.device).float() @ a.to(weight.device).float())
            weight += change.to(weight.dtype)

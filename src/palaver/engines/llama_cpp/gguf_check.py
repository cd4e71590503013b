"""Checks that a GGUF's metadata and tensors agree before native code is given the file.

Which keys llama.cpp reads with which type: `src/llama-model.cpp` and `src/llama-vocab.cpp` of
https://github.com/ggml-org/llama.cpp; it has assertions that end the process where a number is
out of range (`LLAMA_MAX_LAYERS`, `LLAMA_MAX_EXPERTS`), so those are looked at here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from palaver.engines.llama_cpp import gguf_shapes
from palaver.engines.llama_cpp.gguf_parse import Array, Bad, Header, TensorInfo, per_layer

MAX_TEMPLATE = 1 << 20  # characters; the longest known are about 60,000
_MAX_LAYERS = 512
_MAX_EXPERTS = 1024
_NO_CHAT = {
    "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2",
    "jina-bert-v3", "eurobert", "gemma-embedding", "llama-embed", "t5encoder",
}  # fmt: skip
_PARTS = {
    "adapter": ("is a LoRA adapter, not a model", "Name the model and give this with --lora."),
    "mmproj": ("holds only the part of a model that sees or hears", "Name the model itself."),
    "imatrix": ("holds the statistics of a quantisation, not a model", "Name the model itself."),
    "vocab": ("holds only a vocabulary", "Name the model itself."),
}

_FLOATS = re.compile(
    r"(epsilon|freq_base(_swa)?|freq_scale|[._]scale|scaling\.(factor|alpha|attn_factor)|yarn_\w+|"
    r"clamp\w*|alibi_bias|softcapping|rope\.scale_linear|weights_scale|value_scale)$"
)
_BOOLS = re.compile(r"(causal|finetuned|weights_norm|use_parallel_residual|dt_b_c_rms|safe_gate)$")
_COUNTS = re.compile(
    r"(block_count|context_length|embedding_length\w*|feed_forward_length|head_count(_kv)?|"
    r"key_length\w*|value_length\w*|\w+_rank\w*|dimension_count\w*|expert\w*_count|vocab_size|"
    r"sliding_window|conv_kernel|inner_size|state_size|group_count|l_cache|head_size|"
    r"original_context_length|nextn_predict_layers|head_dim|full_attention_interval|top_k|"
    r"shared_kv_layers)$"
)
_BY_LAYER = re.compile(r"(head_count(_kv)?|feed_forward_length|expert_used_count|_per_layer)$")
_PATTERN = re.compile(r"attention\.sliding_window_pattern$")
_ARRAYS = {"array of u32", "array of i32"}
_FIXED = {
    "general.architecture": {"string"},
    "general.alignment": {"u32"},
    "general.file_type": {"u32"},
    "general.quantization_version": {"u32"},
    "split.no": {"u16"},
    "split.count": {"u16"},
    "split.tensors.count": {"i32"},
    "tokenizer.ggml.model": {"string"},
    "tokenizer.ggml.pre": {"string"},
    "tokenizer.ggml.tokens": {"array of string"},
    "tokenizer.ggml.merges": {"array of string"},
    "tokenizer.ggml.scores": {"array of f32"},
    "tokenizer.ggml.token_type": {"array of i32", "array of u32"},
    "tokenizer.chat_template": {"string"},
}


def check(head: Header, tensors: tuple[TensorInfo, ...], *, adapter: bool = False) -> None:
    """Raise Bad where keys are missing, of a wrong type or at odds with each other."""
    _kinds(head.kinds)
    arch = head.metadata.get("general.architecture")
    if not isinstance(arch, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", arch):
        raise Bad(f"its architecture is {arch!r}" if arch else "it names no architecture")
    kind = head.metadata.get("general.type", "model")
    if adapter:
        if kind != "adapter":
            raise Bad("is not a LoRA adapter", "Give a model by its path, an adapter by --lora.")
        return
    _is_model(arch, kind, tensors)
    _numbers(head.metadata, arch)
    words = _tokenizer(head.metadata)
    gguf_shapes.check(head.metadata, arch, tensors, words)


def _is_model(arch: str, kind: Any, tensors: tuple[TensorInfo, ...]) -> None:
    if arch == "clip":
        kind = "mmproj"
    elif not tensors:
        kind = "vocab"
    if kind in _PARTS:
        raise Bad(*_PARTS[kind])
    if arch in _NO_CHAT:
        raise Bad(
            f"is an embedding model ({arch}); it can't chat", "Name a model that writes text."
        )


def _kinds(kinds: dict[str, str]) -> None:
    """Check the types of the keys that llama.cpp reads; it refuses others less clearly."""
    for key, kind in kinds.items():
        allowed = _FIXED.get(key)
        if allowed is None and key.startswith("tokenizer.ggml."):
            if key.endswith(("_token_id", "_count")):
                allowed = {"u32"}
            elif ".add_" in key or key.endswith("_whitespaces"):
                allowed = {"bool"}
        elif allowed is None and not key.startswith(("general.", "tokenizer.", "split.")):
            if _FLOATS.search(key):
                allowed = {"f32", "array of f32"}
            elif _BOOLS.search(key):
                allowed = {"bool"}
            elif _PATTERN.search(key):
                allowed = {"u32", "array of bool"} | _ARRAYS
            elif _COUNTS.search(key):
                allowed = {"u32"} | (_ARRAYS if _BY_LAYER.search(key) else set())
        if allowed is not None and kind not in allowed:
            raise Bad(f"the value of {key!r} is of type {kind}, expected {sorted(allowed)[-1]}")


def _numbers(data: dict[str, Any], arch: str) -> None:
    for name, most in (
        ("block_count", _MAX_LAYERS),
        ("embedding_length", 1 << 20),
        ("context_length", 1 << 30),
    ):
        value = data.get(f"{arch}.{name}")
        if value is None:
            raise Bad(f"it lacks {arch}.{name}")
        if not isinstance(value, int) or not 0 < value <= most:
            raise Bad(f"its {arch}.{name} is {value!r}; 1 to {most:,} are possible")
    window = data.get(f"{arch}.attention.sliding_window", 0)
    if isinstance(window, int) and window > 1 << 24:  # the size of llama.cpp's cache overflows
        raise Bad(f"its {arch}.attention.sliding_window is {window:,}, which is impossible")
    layers = data[f"{arch}.block_count"]
    for key, value in data.items():
        if not key.startswith(f"{arch}."):
            continue
        if _BY_LAYER.search(key) and isinstance(value, Array):
            if len(value) != layers:
                raise Bad(f"its {key} has {len(value)} values for {layers} layers")
            if any(not 0 <= n < 1 << 24 for n in value):
                raise Bad(f"its {key} has a value that is impossible")
        elif _COUNTS.search(key) and isinstance(value, int) and value >= 1 << 31:
            raise Bad(f"its {key} is {value:,}, which is impossible")
    shared = data.get(f"{arch}.attention.shared_kv_layers", 0)
    if shared > layers:
        raise Bad(f"{shared:,} of its {layers} layers share the cache of others")
    _fractions(data, arch)
    experts = data.get(f"{arch}.expert_count", 0)
    used = max(per_layer(data, f"{arch}.expert_used_count", layers) or [0])
    if experts > _MAX_EXPERTS or used > experts or (experts and not used):
        raise Bad(f"it claims to use {used:,} of {experts:,} experts")
    _heads(data, arch, layers)


def _fractions(data: dict[str, Any], arch: str) -> None:
    for key, value in data.items():
        if not (key.startswith(f"{arch}.") and isinstance(value, float)):
            continue
        if not math.isfinite(value):
            raise Bad(f"its {key} is {value}")
        if key.endswith("epsilon") and not 0 <= value < 0.1:
            raise Bad(f"its {key} is {value:g}, which is impossible")
        if "freq_base" in key and not 0 < value < 1e15:
            raise Bad(f"its {key} is {value:g}, which is impossible")


def _heads(data: dict[str, Any], arch: str, layers: int) -> None:
    heads = per_layer(data, f"{arch}.attention.head_count", layers)
    if heads is None:
        return
    kv_heads = per_layer(data, f"{arch}.attention.head_count_kv", layers) or heads
    width = data[f"{arch}.embedding_length"]
    for q, kv in zip(heads, kv_heads, strict=True):
        if q and kv and q % kv:
            raise Bad(f"its {q} attention heads can't share {kv} key-value heads")
        if q and f"{arch}.attention.key_length" not in data and width % q:
            raise Bad(f"its width {width:,} can't be shared by {q} attention heads")
    turned = data.get(f"{arch}.rope.dimension_count", 0)
    lengths = [data.get(f"{arch}.attention.key_length{n}", 0) for n in ("", "_swa", "_mla")]
    size = max(*lengths, width // max(1, *heads))
    if max(heads) and (turned > size or turned % 2):
        raise Bad(f"its {arch}.rope.dimension_count is {turned:,}, a head has {size:,} values")


def _unique(tokens: Array) -> None:
    """Check that no two tokens have the same text: llama.cpp ends the process over it.

    It reads texts up to a zero byte and gives those that are empty a name of their own.
    """
    texts = tokens.raw()
    if b"\0" in b"".join(texts):
        texts = [text.partition(b"\0")[0] for text in texts]
    if len(set(texts)) == len(texts):
        return
    filled = [text for text in texts if text]
    if len(set(filled)) != len(filled):
        twice = Counter(filled).most_common(1)[0][0].decode("utf-8", "replace")
        raise Bad(f"two of its tokens have the same text, {twice[:40]!r}")


def _tokenizer(data: dict[str, Any]) -> int:
    model = data.get("tokenizer.ggml.model")
    if model is None:
        raise Bad("it holds no tokenizer")
    if model in ("none", "no_vocab"):
        raise Bad("it holds no vocabulary, so it can't chat", "Look for a complete file.")
    tokens = data.get("tokenizer.ggml.tokens")
    if tokens is None or len(tokens) < 2:
        raise Bad("it holds no tokens")
    for name in ("token_type", "scores"):
        values = data.get(f"tokenizer.ggml.{name}")
        if values is not None and len(values) != len(tokens):
            raise Bad(f"it has {len(tokens):,} tokens, but {len(values):,} of their {name}")
    types = data.get("tokenizer.ggml.token_type")
    if types is not None and not 0 <= min(types.values()) <= max(types.values()) <= 6:
        raise Bad("a token has an unknown type")
    _unique(tokens)
    if model == "gpt2" and "tokenizer.ggml.merges" not in data:
        raise Bad("its tokenizer lacks the merges")
    for key in [k for k in data if k.startswith("tokenizer.ggml.") and k.endswith("_token_id")]:
        if data[key] >= len(tokens) and data[key] != 0xFFFFFFFF:  # -1: there is none
            raise Bad(f"its {key} is {data[key]:,}, there are {len(tokens):,} tokens")
    template = data.get("tokenizer.chat_template", "")
    if len(template) > MAX_TEMPLATE:
        raise Bad(f"its chat template has {len(template):,} characters", "Use another file.")
    return len(tokens)

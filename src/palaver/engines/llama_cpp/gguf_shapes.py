"""Checks that the tensors of a model agree with its metadata, as far as that is known.

Shapes: `src/models/*.cpp` of https://github.com/ggml-org/llama.cpp (`create_tensor`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

from palaver.engines.llama_cpp.gguf_parse import AGAIN, Bad, TensorInfo, per_layer


def check(data: dict[str, Any], arch: str, tensors: tuple[TensorInfo, ...], words: int) -> None:
    """Check the tensors that every architecture has, and the shapes of a plain attention."""
    by_name = {t.name: t for t in tensors}
    width = data[f"{arch}.embedding_length"]
    if "token_embd.weight" not in by_name:
        raise Bad("it lacks the tensor 'token_embd.weight'")
    for name in ("token_embd.weight", "output.weight"):
        if name in by_name and by_name[name].shape != (width, words):
            _shape(by_name[name], (width, words))
    for name in ("output_norm.weight", "token_embd_norm.weight"):
        if name in by_name:
            _shape(by_name[name], (width,))
    layers = {int(m[1]) for t in tensors if (m := re.match(r"blk\.(\d{1,6})\.", t.name))}
    count = data[f"{arch}.block_count"]
    shared = "t5" in arch or arch == "deci"  # names of their own; layers without tensors
    if not shared and layers != set(range(count)):
        odd = min(layers ^ set(range(count)))
        raise Bad(f"it claims {count} layers, but layer {odd} " + _has(odd in layers))
    if not shared:
        _attention(data, arch, by_name, count)
        _layers(data, arch, by_name, count)
    for tensor in tensors:
        if tensor.type in ("I8", "I16", "I64", "F64") and tensor.name.endswith("weight"):
            raise Bad(f"the weights {tensor.name!r} have the type {tensor.type}")
        if len(tensor.shape) == 1 and "norm" in tensor.name and tensor.type not in _NORMS:
            raise Bad(f"the norm {tensor.name!r} has the type {tensor.type}")
    _norms(data, arch, tensors, width)


_NORMS = ("F32", "F16", "BF16")
# architectures whose layers all attend in the plain way: q, k, v and output projections
_PLAIN = {
    "llama", "mistral3", "qwen2", "qwen3", "qwen3moe", "qwen2moe", "gemma", "gemma2", "gemma3",
    "smollm3", "granite", "granitemoe", "internlm2", "olmo2", "olmoe", "gpt-oss", "starcoder2",
    "stablelm", "exaone", "command-r", "cohere2", "phi3", "glm4", "minicpm", "hunyuan-dense",
}  # fmt: skip


def _layers(data: dict[str, Any], arch: str, by_name: dict[str, TensorInfo], count: int) -> None:
    width = data[f"{arch}.embedding_length"]
    heads = per_layer(data, f"{arch}.attention.head_count", count)
    if arch not in _PLAIN or heads is None:
        return
    kv_heads = per_layer(data, f"{arch}.attention.head_count_kv", count) or heads
    ffn = per_layer(data, f"{arch}.feed_forward_length", count)
    for i in range(count):
        if not heads[i]:
            continue
        k = data.get(f"{arch}.attention.key_length", width // heads[i])
        v = data.get(f"{arch}.attention.value_length", width // heads[i])
        wanted: dict[str, tuple[int, ...]] = {
            "attn_norm": (width,),
            "ffn_norm": (width,),
            "attn_q": (width, heads[i] * k),
            "attn_k": (width, kv_heads[i] * k),
            "attn_v": (width, kv_heads[i] * v),
            "attn_output": (heads[i] * v, width),
            "ffn_up": (width, ffn[i] if ffn else 0),
            "ffn_gate": (width, ffn[i] if ffn else 0),
            "ffn_down": (ffn[i] if ffn else 0, width),
        }
        for name, shape in wanted.items():
            tensor = by_name.get(f"blk.{i}.{name}.weight")
            fused = arch in ("phi3", "glm4") and name == "ffn_up"
            if tensor is not None and 0 not in shape and not fused:
                _shape(tensor, shape)
            elif tensor is None and name in ("attn_output", "attn_q"):
                _missing(by_name, f"blk.{i}.", name)


def _missing(by_name: dict[str, TensorInfo], block: str, name: str) -> None:
    if name == "attn_q" and block + "attn_qkv.weight" in by_name:
        return
    raise Bad(f"it lacks the tensor {block + name + '.weight'!r}")


def _shape(tensor: TensorInfo, wanted: tuple[int, ...]) -> None:
    if tensor.shape != wanted:
        found = list(tensor.shape)
        raise Bad(f"the tensor {tensor.name!r} is {found}, its metadata say {list(wanted)}", AGAIN)


def _has(extra: bool) -> str:
    return "has tensors too" if extra else "has no tensors"


_RESIDUAL = re.compile(r"blk\.\d+\.(attn_norm|ffn_norm|post_attention_norm|post_ffw_norm)\.weight")
_LIKE = re.compile(r"blk\.\d+\.(\w*(?:norm|ssm_)[\w.]*)")


def _norms(data: dict[str, Any], arch: str, tensors: tuple[TensorInfo, ...], width: int) -> None:
    """Check norms of the residual stream by its width, others, and states, by each other."""
    alike: defaultdict[str, list[TensorInfo]] = defaultdict(list)
    for tensor in tensors:
        if len(tensor.shape) != 1 and ".ssm_" not in tensor.name:
            continue
        if _RESIDUAL.fullmatch(tensor.name):
            _shape(tensor, (width,))
        elif match := _LIKE.fullmatch(tensor.name):
            alike[match[1]].append(tensor)
    if f"{arch}.attention.key_length_swa" in data:
        return  # heads differ by layer
    for group in alike.values():
        usual = Counter(t.shape for t in group).most_common(1)[0][0]
        for tensor in group:
            _shape(tensor, usual)


def _attention(data: dict[str, Any], arch: str, by_name: dict[str, TensorInfo], count: int) -> None:
    """Check that layers with projections of queries and keys have heads."""
    heads = per_layer(data, f"{arch}.attention.head_count", count) or [0] * count
    kv_heads = per_layer(data, f"{arch}.attention.head_count_kv", count) or heads
    for i in range(count):
        for name, n in (("attn_q", heads[i]), ("attn_qkv", heads[i]), ("attn_k", kv_heads[i])):
            if not n and f"blk.{i}.{name}.weight" in by_name:
                raise Bad(f"it claims that layer {i} has no attention heads, but it has {name}")

"""Random tiny gpt-oss checkpoints, the same weights in every layout that the engine reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from safetensors.torch import save_file
from torch import Tensor

Tensors = dict[str, Tensor]


class Shape(Struct, frozen=True):
    """Sizes of a checkpoint."""

    layers: int = 2
    width: int = 64
    inner: int = 96
    experts: int = 4
    chosen: int = 2
    heads: int = 4
    kv_heads: int = 2
    head: int = 16
    window: int = 128
    vocabulary: int = 300


def random(shape: Shape, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensors:
    """Make weights under the names of the original layout."""
    torch.manual_seed(seed)
    made: Tensors = {}

    def normal(name: str, *size: int, by: float = 1.0, add: float = 0.0) -> None:
        made[name] = (torch.randn(size) * by + add).to(dtype)

    def packed(name: str, rows: int, columns: int) -> None:
        size = (shape.experts, rows, columns // 32)
        made[f"{name}.blocks"] = torch.randint(0, 256, (*size, 16), dtype=torch.uint8)
        made[f"{name}.scales"] = torch.randint(116, 122, size, dtype=torch.uint8)

    width, joined = shape.width, (shape.heads + 2 * shape.kv_heads) * shape.head
    normal("embedding.weight", shape.vocabulary, width)
    normal("unembedding.weight", shape.vocabulary, width, by=width**-0.5)
    normal("norm.scale", width, by=0.1, add=1)
    for n in range(shape.layers):
        at = f"block.{n}."
        normal(f"{at}attn.norm.scale", width, by=0.1, add=1)
        normal(f"{at}attn.qkv.weight", joined, width, by=2 * width**-0.5)
        normal(f"{at}attn.qkv.bias", joined, by=0.2)
        normal(f"{at}attn.sinks", shape.heads)
        normal(f"{at}attn.out.weight", width, shape.heads * shape.head, by=width**-0.5)
        normal(f"{at}attn.out.bias", width, by=0.2)
        normal(f"{at}mlp.norm.scale", width, by=0.1, add=1)
        normal(f"{at}mlp.gate.weight", shape.experts, width, by=width**-0.5)
        normal(f"{at}mlp.gate.bias", shape.experts, by=0.2)
        normal(f"{at}mlp.mlp1_bias", shape.experts, 2 * shape.inner, by=0.2)
        normal(f"{at}mlp.mlp2_bias", shape.experts, width, by=0.2)
        packed(f"{at}mlp.mlp1_weight", 2 * shape.inner, width)
        packed(f"{at}mlp.mlp2_weight", width, shape.inner)
    return made


def original_config(shape: Shape) -> dict[str, Any]:
    """Write config.json as https://github.com/openai/gpt-oss has it."""
    return {
        "num_hidden_layers": shape.layers, "num_experts": shape.experts,
        "experts_per_token": shape.chosen, "vocab_size": shape.vocabulary,
        "hidden_size": shape.width, "intermediate_size": shape.inner, "swiglu_limit": 7.0,
        "head_dim": shape.head, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "sliding_window": shape.window,
        "initial_context_length": 4096, "rope_theta": 150000, "rope_scaling_factor": 32.0,
        "rope_ntk_alpha": 1, "rope_ntk_beta": 32,
    }  # fmt: skip


def transformers_config(shape: Shape) -> dict[str, Any]:
    """Write config.json as the Hugging Face checkpoints have it."""
    kinds = ["full_attention" if n % 2 else "sliding_attention" for n in range(shape.layers)]
    return {
        "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": True,
        "num_hidden_layers": shape.layers, "num_local_experts": shape.experts,
        "num_experts_per_tok": shape.chosen, "vocab_size": shape.vocabulary,
        "hidden_size": shape.width, "intermediate_size": shape.inner, "swiglu_limit": 7.0,
        "head_dim": shape.head, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "sliding_window": shape.window,
        "layer_types": kinds,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 150000,
        "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
                         "truncate": False, "original_max_position_embeddings": 4096},
        "tie_word_embeddings": False, "eos_token_id": 2, "pad_token_id": None,
    }  # fmt: skip


def transformers_names(made: Tensors, shape: Shape, *, packed: bool) -> Tensors:
    """Give weights the names of Hugging Face's layout; unpack them by transformers' own code."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    sizes = [shape.heads * shape.head, shape.kv_heads * shape.head, shape.kv_heads * shape.head]
    out = {
        "model.embed_tokens.weight": made["embedding.weight"],
        "lm_head.weight": made["unembedding.weight"],
        "model.norm.weight": made["norm.scale"],
    }
    for n in range(shape.layers):
        old, new = f"block.{n}.", f"model.layers.{n}."
        out[f"{new}input_layernorm.weight"] = made[f"{old}attn.norm.scale"]
        out[f"{new}post_attention_layernorm.weight"] = made[f"{old}mlp.norm.scale"]
        out[f"{new}self_attn.sinks"] = made[f"{old}attn.sinks"]
        for kind in ("weight", "bias"):
            parts = made[f"{old}attn.qkv.{kind}"].split(sizes)
            for letter, part in zip("qkv", parts, strict=True):
                out[f"{new}self_attn.{letter}_proj.{kind}"] = part.clone()
            out[f"{new}self_attn.o_proj.{kind}"] = made[f"{old}attn.out.{kind}"]
            out[f"{new}mlp.router.{kind}"] = made[f"{old}mlp.gate.{kind}"]
        for ours, theirs in (("mlp1", "gate_up_proj"), ("mlp2", "down_proj")):
            at = f"{new}mlp.experts.{theirs}"
            out[f"{at}_bias"] = made[f"{old}mlp.{ours}_bias"]
            blocks, scales = (made[f"{old}mlp.{ours}_weight.{k}"] for k in ("blocks", "scales"))
            if packed:
                out[f"{at}_blocks"], out[f"{at}_scales"] = blocks, scales
            else:
                dtype = made["norm.scale"].dtype
                out[at] = convert_moe_packed_tensors(blocks, scales, dtype=dtype).contiguous()
    return out


def write(folder: Path, shape: Shape, layout: str, made: Tensors | None = None) -> Path:
    """Write a checkpoint: `layout` is "original", "packed" or "plain" (Hugging Face's both)."""
    folder.mkdir(parents=True, exist_ok=True)
    made = random(shape) if made is None else made
    if layout == "original":
        config, tensors = original_config(shape), made
    else:
        config = transformers_config(shape)
        tensors = transformers_names(made, shape, packed=layout == "packed")
        if layout == "packed":
            config["quantization_config"] = {"quant_method": "mxfp4"}
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(tensors)
    if layout == "packed":  # in two files with an index, as large checkpoints are
        halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        index = {name: file for file, some in halves.items() for name in some}
        text = json.dumps({"weight_map": index})
        (folder / "model.safetensors.index.json").write_text(text)
    else:
        halves = {"model.safetensors": names}
    for file, some in halves.items():
        save_file({name: tensors[name] for name in some}, folder / file)
    return folder


def reference(shape: Shape, made: Tensors) -> Any:
    """Return transformers' model with the same weights: float32, eager attention."""
    from transformers import GptOssConfig, GptOssForCausalLM

    config = GptOssConfig(**transformers_config(shape), attn_implementation="eager")
    model = GptOssForCausalLM(config).eval()
    tensors = transformers_names(made, shape, packed=False)
    model.load_state_dict({name: t.float() for name, t in tensors.items()})
    return model

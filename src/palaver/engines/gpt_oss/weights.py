"""A gpt-oss model's weights, from a checkpoint of either layout.

Names of the original layout: https://github.com/openai/gpt-oss (`gpt_oss/torch/weights.py`);
of the other: transformers' GptOssForCausalLM. Its matrices of experts are packed as the original
ones are, or plain and turned.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from palaver.core.errors import UserError
from palaver.engines.gpt_oss.checkpoint import BYTES, Checkpoint
from palaver.engines.gpt_oss.config import Config
from palaver.engines.gpt_oss.kernels import Experts, Matrices, Packed, unpack

_BLOCK = 32  # values of an MXFP4 block, in 16 bytes


class Layer(NamedTuple):
    """Weights of one layer: `q` (H D, W), `k` and `v` (K D, W), `out` (W, H D), `router` (E, W)."""

    attention_norm: Tensor
    q: Tensor
    q_bias: Tensor
    k: Tensor
    k_bias: Tensor
    v: Tensor
    v_bias: Tensor
    sinks: Tensor
    out: Tensor
    out_bias: Tensor
    experts_norm: Tensor
    router: Tensor
    router_bias: Tensor
    experts: Experts


class Weights(NamedTuple):
    """All weights: `embedding` and `unembedding` (vocabulary, W), `norm` (W,)."""

    embedding: Tensor
    layers: list[Layer]
    norm: Tensor
    unembedding: Tensor


def load(config: Config, checkpoint: Checkpoint) -> Weights:
    """Take a model's weights, in the types of the file, without reading them.

    Raises UserError naming file and tensor where one is missing, of another shape, or too many.
    """
    take = _original if config.original else _transformers
    weights = take(config, checkpoint)
    checkpoint.end()
    return weights


def convert(weights: Weights, dtype: torch.dtype, device: str, *, whole: bool) -> Weights:
    """Return the weights in `dtype` on `device`, norms in float32.

    What is so already stays mapped. With `whole` packed matrices are unpacked now, for speed.
    """

    def number(tensor: Tensor) -> Tensor:
        return tensor.to(device=device, dtype=dtype)

    def experts(matrices: Matrices) -> Matrices:
        if not isinstance(matrices, Packed):
            return number(matrices)
        there = Packed(*(part.to(device) for part in matrices))
        if not whole:
            return there
        count, rows, groups = there.scales.shape
        made = torch.empty((count, rows, groups * _BLOCK), dtype=dtype, device=device)
        for to, blocks, scales in zip(made, *there, strict=True):
            to.copy_(unpack(blocks, scales, dtype))
        return made

    def layer(of: Layer) -> Layer:
        mixed = of.experts
        plain = {name: number(part) for name, part in of._asdict().items() if name != "experts"}
        for name in ("attention_norm", "experts_norm"):
            plain[name] = getattr(of, name).to(device=device, dtype=torch.float32)
        moved = Experts(
            experts(mixed.up),
            number(mixed.up_bias),
            experts(mixed.down),
            number(mixed.down_bias),
        )
        return Layer(**plain, experts=moved)

    embedding = number(weights.embedding)
    tied = weights.unembedding is weights.embedding
    return Weights(
        embedding=embedding,
        layers=[layer(of) for of in weights.layers],
        norm=weights.norm.to(device=device, dtype=torch.float32),
        unembedding=embedding if tied else number(weights.unembedding),
    )


def size(weights: Weights, dtype: torch.dtype, *, whole: bool) -> int:
    """Return the bytes that the files' tensors take, mapped, and what `convert` makes of them.

    Pages of a file that were read stay in memory until the system wants them.
    """
    parts = [weights.embedding]
    if weights.unembedding is not weights.embedding:
        parts.append(weights.unembedding)
    mapped = made = 0
    for layer in weights.layers:
        parts += [part for part in layer if isinstance(part, Tensor)]
        for part in layer.experts:
            if isinstance(part, Packed):
                mapped += part.blocks.nbytes + part.scales.nbytes
                made += 2 * part.blocks.numel() * int(dtype.itemsize) if whole else 0
            else:
                parts.append(part)
    for part in parts:
        mapped += part.nbytes
        made += 0 if part.dtype == dtype else part.numel() * int(dtype.itemsize)
    return mapped + made


def _packed(checkpoint: Checkpoint, name: str, count: int, rows: int, columns: int) -> Packed:
    groups, rest = divmod(columns, _BLOCK)
    if rest:
        raise UserError(f"{checkpoint.folder}: {name} has {columns} columns, no blocks of {_BLOCK}")
    blocks = checkpoint.take(f"{name}blocks", count, rows, groups, _BLOCK // 2, kinds=BYTES)
    return Packed(blocks, checkpoint.take(f"{name}scales", count, rows, groups, kinds=BYTES))


def _original(c: Config, checkpoint: Checkpoint) -> Weights:
    take = checkpoint.take
    sizes = [c.heads * c.head, c.kv_heads * c.head, c.kv_heads * c.head]

    def layer(at: str) -> Layer:
        q, k, v = take(f"{at}attn.qkv.weight", sum(sizes), c.width).split(sizes)
        q_bias, k_bias, v_bias = take(f"{at}attn.qkv.bias", sum(sizes)).split(sizes)
        return Layer(
            attention_norm=take(f"{at}attn.norm.scale", c.width),
            q=q,
            q_bias=q_bias,
            k=k,
            k_bias=k_bias,
            v=v,
            v_bias=v_bias,
            sinks=take(f"{at}attn.sinks", c.heads),
            out=take(f"{at}attn.out.weight", c.width, c.heads * c.head),
            out_bias=take(f"{at}attn.out.bias", c.width),
            experts_norm=take(f"{at}mlp.norm.scale", c.width),
            router=take(f"{at}mlp.gate.weight", c.experts, c.width),
            router_bias=take(f"{at}mlp.gate.bias", c.experts),
            experts=Experts(
                _packed(checkpoint, f"{at}mlp.mlp1_weight.", c.experts, 2 * c.inner, c.width),
                take(f"{at}mlp.mlp1_bias", c.experts, 2 * c.inner),
                _packed(checkpoint, f"{at}mlp.mlp2_weight.", c.experts, c.width, c.inner),
                take(f"{at}mlp.mlp2_bias", c.experts, c.width),
            ),
        )

    return Weights(
        embedding=take("embedding.weight", c.vocabulary, c.width),
        layers=[layer(f"block.{n}.") for n in range(c.layers)],
        norm=take("norm.scale", c.width),
        unembedding=take("unembedding.weight", c.vocabulary, c.width),
    )


def _transformers(c: Config, checkpoint: Checkpoint) -> Weights:
    take = checkpoint.take
    wide, narrow = c.heads * c.head, c.kv_heads * c.head

    def matrices(name: str, rows: int, columns: int) -> Matrices:
        if f"{name}_blocks" in checkpoint:
            return _packed(checkpoint, f"{name}_", c.experts, rows, columns)
        return take(name, c.experts, columns, rows).mT

    def layer(at: str) -> Layer:
        heads, mixed = f"{at}self_attn.", f"{at}mlp.experts."
        return Layer(
            attention_norm=take(f"{at}input_layernorm.weight", c.width),
            q=take(f"{heads}q_proj.weight", wide, c.width),
            q_bias=take(f"{heads}q_proj.bias", wide),
            k=take(f"{heads}k_proj.weight", narrow, c.width),
            k_bias=take(f"{heads}k_proj.bias", narrow),
            v=take(f"{heads}v_proj.weight", narrow, c.width),
            v_bias=take(f"{heads}v_proj.bias", narrow),
            sinks=take(f"{heads}sinks", c.heads),
            out=take(f"{heads}o_proj.weight", c.width, wide),
            out_bias=take(f"{heads}o_proj.bias", c.width),
            experts_norm=take(f"{at}post_attention_layernorm.weight", c.width),
            router=take(f"{at}mlp.router.weight", c.experts, c.width),
            router_bias=take(f"{at}mlp.router.bias", c.experts),
            experts=Experts(
                matrices(f"{mixed}gate_up_proj", 2 * c.inner, c.width),
                take(f"{mixed}gate_up_proj_bias", c.experts, 2 * c.inner),
                matrices(f"{mixed}down_proj", c.width, c.inner),
                take(f"{mixed}down_proj_bias", c.experts, c.width),
            ),
        )

    embedding = take("model.embed_tokens.weight", c.vocabulary, c.width)
    return Weights(
        embedding=embedding,
        layers=[layer(f"model.layers.{n}.") for n in range(c.layers)],
        norm=take("model.norm.weight", c.width),
        unembedding=embedding if c.tied else take("lm_head.weight", c.vocabulary, c.width),
    )

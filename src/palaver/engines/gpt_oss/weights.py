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
from palaver.engines.gpt_oss.kernels import Experts, Matrices
from palaver.engines.gpt_oss.mxfp4 import BLOCK, Packed, Room

_LINE = 64  # bytes of a line of the processor's cache


class Layer(NamedTuple):
    """Weights of one layer: `qkv` ((H + 2 K) D, W), `out` (W, H D), `router` (E, W).

    The rows of `qkv` are those of the queries, the keys, the values; a bias has a number a row.
    """

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor
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
    """Take a model's weights, in the types of the file.

    They are mapped and not read, but for what the transformers' layout has apart and is joined.
    Raises UserError naming file and tensor where one is missing, of another shape, or too many.
    """
    take = _original if config.original else _transformers
    weights = take(config, checkpoint)
    checkpoint.end()
    return weights


def convert(weights: Weights, dtype: torch.dtype, device: str, *, room: int = 0) -> Weights:
    """Return the weights in `dtype` on `device`, norms in float32.

    Experts that are so already stay mapped, packed ones in any case; `room` is how many bytes
    they may take unpacked, as they are used.
    """
    shared = Room(room)

    def number(tensor: Tensor) -> Tensor:
        moved = tensor.to(device=device, dtype=dtype)
        return moved.clone() if _misaligned(moved) else moved

    def experts(matrices: Matrices) -> Matrices:
        if isinstance(matrices, Packed):
            return Packed(matrices.blocks.to(device), matrices.scales.to(device), shared)
        return matrices.to(device=device, dtype=dtype)

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


def _misaligned(tensor: Tensor) -> bool:
    """Whether rows begin within a line of the processor's cache: a product takes a third longer."""
    return tensor.device.type == "cpu" and int(tensor.data_ptr()) % _LINE != 0


def size(weights: Weights, dtype: torch.dtype) -> int:
    """Return the bytes that the files' tensors take, mapped, and what `convert` makes of them.

    Pages of a file that were read stay in memory until the system wants them.
    """
    parts = [weights.embedding]
    if weights.unembedding is not weights.embedding:
        parts.append(weights.unembedding)
    total = 0
    for layer in weights.layers:
        parts += [part for part in layer if isinstance(part, Tensor)]
        for part in layer.experts:
            total += part.nbytes
            if isinstance(part, Tensor) and part.dtype != dtype:
                total += part.numel() * dtype.itemsize
    for part in parts:
        made = part.dtype != dtype or _misaligned(part)
        total += part.nbytes + (part.numel() * dtype.itemsize if made else 0)
    return total


def unpacked_size(weights: Weights, dtype: torch.dtype) -> int:
    """Return the bytes that all packed experts take when they are unpacked to `dtype`."""
    packed = [p for layer in weights.layers for p in layer.experts if isinstance(p, Packed)]
    return sum(2 * part.blocks.numel() * int(dtype.itemsize) for part in packed)


def _packed(checkpoint: Checkpoint, name: str, count: int, rows: int, columns: int) -> Packed:
    groups, rest = divmod(columns, BLOCK)
    if rest:
        raise UserError(
            f"{checkpoint.folder}: {name} has {columns} columns, no blocks of {BLOCK}",
            fix="config.json is not of this checkpoint",
        )
    blocks = checkpoint.take(f"{name}blocks", count, rows, groups, BLOCK // 2, kinds=BYTES)
    scales = checkpoint.take(f"{name}scales", count, rows, groups, kinds=BYTES)
    return Packed(blocks, scales, Room(0))


def _original(c: Config, checkpoint: Checkpoint) -> Weights:
    take = checkpoint.take
    joined = (c.heads + 2 * c.kv_heads) * c.head

    def layer(at: str) -> Layer:
        return Layer(
            attention_norm=take(f"{at}attn.norm.scale", c.width),
            qkv=take(f"{at}attn.qkv.weight", joined, c.width),
            qkv_bias=take(f"{at}attn.qkv.bias", joined),
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
        apart = {"q": wide, "k": narrow, "v": narrow}
        return Layer(
            attention_norm=take(f"{at}input_layernorm.weight", c.width),
            qkv=torch.cat([take(f"{heads}{p}_proj.weight", r, c.width) for p, r in apart.items()]),
            qkv_bias=torch.cat([take(f"{heads}{p}_proj.bias", r) for p, r in apart.items()]),
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

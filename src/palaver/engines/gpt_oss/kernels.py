"""What a gpt-oss model computes, as pure functions of tensors: the place for faster kernels.

Each works on CPU and on any other device of torch, in the type of its inputs; what needs the
range or the precision of float32 is computed in it. Shapes: n new tokens, m tokens whose keys are
looked at, H heads, K key heads, D values a head, W width, I inner width, E experts.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

SCORES = 1 << 24  # attention scores (float32) that are held at once: 64 MiB
_UNPACKED = 1 << 18  # values of a packed matrix that are unpacked at once
# https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf: E2M1
_VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


class Packed(NamedTuple):
    """Matrices in MXFP4: `blocks` uint8 (E, rows, G, 16), `scales` uint8 (E, rows, G).

    A block is 32 values of a row, two a byte, the low half first; it is multiplied by
    2 ** (scale - 127).
    """

    blocks: Tensor
    scales: Tensor


Matrices: TypeAlias = Tensor | Packed  # (E, rows, columns)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x` (n, columns) times `weight` (rows, columns), with `bias` (rows,): (n, rows)."""
    if len(x) == 1 and x.dtype == torch.bfloat16 and x.device.type == "cpu":
        # A row alone: the product of matrices takes half as long again, and says the same bits.
        row = torch.mv(weight, x[0]) if bias is None else torch.addmv(bias, weight, x[0])
        return row[None]
    return F.linear(x, weight, bias)


def linear(x: Tensor, matrices: Matrices, number: int, bias: Tensor) -> Tensor:
    """Return `x` (n, columns) times matrix `number`, with `bias` (rows,): (n, rows).

    A packed matrix is unpacked some rows at a time, so that its values stay in the processor's
    cache until they are used.
    """
    if not isinstance(matrices, Packed):
        return product(x, matrices[number], bias)
    step = max(1, _UNPACKED // x.shape[-1])
    parts = zip(
        matrices.blocks[number].split(step),
        matrices.scales[number].split(step),
        bias.split(step),
        strict=True,
    )
    return torch.cat([product(x, unpack(b, s, x.dtype), add) for b, s, add in parts], dim=-1)


def unpack(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the values of MXFP4 `blocks` (..., G, 16) with `scales` (..., G): (..., 32 G).

    A byte is looked up with its scale as the pair of values it holds, moved as one number: ten
    times as fast as a look-up a value.
    """
    index = blocks.int().add_((scales.int() << 8)[..., None])
    values = _table(dtype, blocks.device).index_select(0, index.flatten())
    return values.view(dtype).view(*scales.shape[:-1], -1)


_tables: dict[tuple[torch.dtype, torch.device], Tensor] = {}


def _table(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the pairs of values of each scale and byte, a pair as one number; made once."""
    if (dtype, device) not in _tables:
        values = torch.tensor([*_VALUES, *(-v for v in _VALUES)], dtype=torch.float64)
        byte = torch.arange(256)
        pairs = torch.stack((values[byte & 15], values[byte >> 4]), dim=-1)
        powers = torch.tensor([2.0 ** (n - 127) for n in range(255)] + [math.nan])
        exact = (powers.double()[:, None, None] * pairs).to(dtype)
        whole = {2: torch.int32, 4: torch.int64}[dtype.itemsize]
        _tables[dtype, device] = exact.view(whole).flatten().to(device)
    return _tables[dtype, device]


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return the RMSNorm of `x` (n, W), computed in float32."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * weight).to(x.dtype)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the halves of each head of `x` (n, heads, D) by angles (n, D / 2), in float32."""
    first, second = x.float().chunk(2, dim=-1)
    cosine, sine = cosine[:, None], sine[:, None]
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return torch.cat(turned, dim=-1).to(x.dtype)


def attention(q: Tensor, keys: Tensor, values: Tensor, sinks: Tensor, window: int) -> Tensor:
    """Return what the last n of m tokens see: (n, H * D).

    `q` (n, H, D), `keys` and `values` (K, m, D), `sinks` (H,): a score of each head that takes
    its share of the attention and gives nothing. A token looks at itself and all before it, or
    at the last `window` of them where that is not 0.
    """
    n, heads, size = q.shape
    kv_heads, m, _ = keys.shape
    rows = max(1, SCORES // (heads * m))
    parts = []
    for start in range(0, n, rows):
        block = q[start : start + rows]
        end = m - n + start + len(block)
        begin = max(0, end - len(block) - window + 1) if window else 0
        grouped = block.view(len(block), kv_heads, -1, size).permute(1, 2, 0, 3)
        seen = _attend(grouped, keys[:, begin:end], values[:, begin:end], sinks, window)
        parts.append(seen.permute(2, 0, 1, 3).reshape(len(block), heads * size))
    return torch.cat(parts)


def _attend(q: Tensor, keys: Tensor, values: Tensor, sinks: Tensor, window: int) -> Tensor:
    """Attend with `q` (K, H / K, n, D) to the keys (K, m, D) of which the last n are its own."""
    kv_heads, group, n, size = q.shape
    m = keys.shape[1]
    scores = q.reshape(kv_heads, group * n, size) @ keys.mT
    scores = scores.view(kv_heads, group, n, m).float() * size**-0.5
    if n > 1:
        at = torch.arange(m - n, m, device=q.device)[:, None]
        other = torch.arange(m, device=q.device)
        hidden = other > at
        if window:
            hidden |= other <= at - window
        scores.masked_fill_(hidden, -math.inf)
    sink = sinks.float().view(kv_heads, group, 1, 1).expand(kv_heads, group, n, 1)
    shares = torch.cat((scores, sink), dim=-1).softmax(-1)[..., :-1].to(values.dtype)
    return (shares.reshape(kv_heads, group * n, m) @ values).view(kv_heads, group, n, size)


def swiglu(x: Tensor, alpha: float, limit: float) -> Tensor:
    """Return (..., I) of `x` (..., 2 I): gates and values in turn, both clamped."""
    gate = x[..., ::2].clamp(max=limit)
    value = x[..., 1::2].clamp(-limit, limit)
    return gate * torch.sigmoid(alpha * gate) * (value + 1)


class Experts(NamedTuple):
    """`up` (E, 2 I, W) with its bias (E, 2 I), `down` (E, W, I) with its bias (E, W)."""

    up: Matrices
    up_bias: Tensor
    down: Matrices
    down_bias: Tensor


def mixture(
    x: Tensor, experts: Experts, chosen: Tensor, shares: Tensor, alpha: float, limit: float
) -> Tensor:
    """Return the sum of what each token's experts make of it, (n, W).

    `x` (n, W), `chosen` (n, k) numbers of experts, `shares` (n, k). One expert after another,
    each for all tokens that chose it.
    """
    flat = chosen.flatten()
    order = flat.argsort()  # the tokens of each expert, together
    tokens = order // chosen.shape[1]
    counts = flat.bincount(minlength=len(experts.up_bias)).tolist()
    parts = []
    for number, rows in enumerate(x[tokens].split(counts)):
        if len(rows):
            gates = linear(rows, experts.up, number, experts.up_bias[number])
            inner = swiglu(gates, alpha, limit)
            parts.append(linear(inner, experts.down, number, experts.down_bias[number]))
    made = torch.cat(parts).float() * shares.flatten()[order, None].float()
    return torch.zeros(x.shape, device=x.device).index_add_(0, tokens, made).to(x.dtype)

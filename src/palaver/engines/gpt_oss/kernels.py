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

from palaver.engines.gpt_oss import mxfp4
from palaver.engines.gpt_oss.mxfp4 import Packed

SCORES = 1 << 24  # attention scores (float32) that are held at once: 64 MiB

Matrices: TypeAlias = Tensor | Packed  # (E, rows, columns)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x` (n, columns) times `weight` (rows, columns), with `bias` (rows,): (n, rows)."""
    alone = len(x) == 1 and x.dtype == torch.bfloat16 and x.device.type == "cpu"
    if alone and weight.is_contiguous():
        # A row alone: the product of matrices takes half as long again.
        row = torch.mv(weight, x[0]) if bias is None else torch.addmv(bias, weight, x[0])
        return row[None]
    return F.linear(x, weight, bias)


def linear(x: Tensor, matrices: Matrices, number: int, bias: Tensor) -> Tensor:
    """Return `x` (n, columns) times matrix `number`, with its `bias` (E, rows): (n, rows)."""
    bias = bias[number]
    if not isinstance(matrices, Packed):
        return product(x, matrices[number], bias)
    kept = matrices.kept(number, x.dtype)
    if kept is not None:
        return product(x, kept, bias)
    return mxfp4.linear(x, matrices.blocks[number], matrices.scales[number], bias)


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return the RMSNorm of `x` (n, W) with `weight` (W,) float32, computed in float32.

    https://arxiv.org/abs/1910.07467
    """
    return F.rms_norm(x.float(), weight.shape, weight, epsilon).to(x.dtype)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the halves of each head of `x` (n, heads, D) by angles, in float32: rotary positions.

    https://arxiv.org/abs/2104.09864; `cosine` and `sine` (n, 1, D), the first half of the sines
    negative.
    """
    wide = x.float()
    swapped = wide.roll(wide.shape[-1] // 2, -1)
    return torch.addcmul(wide * cosine, swapped, sine).to(x.dtype)


def attention(q: Tensor, keys: Tensor, values: Tensor, sinks: Tensor, window: int) -> Tensor:
    """Return what the last n of m tokens see: (n, H * D).

    `q` (n, H, D), `keys` and `values` (K, m, D), `sinks` (H,): a score of each head that takes
    its share of the attention and gives nothing. A token looks at itself and all before it, or
    at the last `window` of them where that is not 0.
    """
    n, heads, size = q.shape
    kv_heads, m, _ = keys.shape
    if n == 1 and q.device.type == "cpu":
        begin = max(0, m - window) if window else 0
        return _attend_alone(q, keys[:, begin:], values[:, begin:], sinks)
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


def _attend_alone(q: Tensor, keys: Tensor, values: Tensor, sinks: Tensor) -> Tensor:
    """Attend with one token's `q` (1, H, D) to all of the keys (K, m, D): (1, H * D).

    Products of so few rows are faster in float32, the change of type included. What `_attend`
    rounds is rounded here, so that a token read alone leaves what it leaves within a prompt.
    """
    kv_heads, _, size = keys.shape
    scores = (q.float().reshape(kv_heads, -1, size) @ keys.float().mT).to(q.dtype)
    sink = sinks.float().view(kv_heads, -1, 1)
    shares = torch.cat((scores.float() * size**-0.5, sink), dim=-1).softmax(-1)[..., :-1]
    return (shares.to(q.dtype).float() @ values.float()).to(q.dtype).view(1, -1)


def swiglu(x: Tensor, alpha: float, limit: float) -> Tensor:
    """Return (..., I) of `x` (..., 2 I): gates and values in turn, both clamped.

    SwiGLU (https://arxiv.org/abs/2002.05202) with gpt-oss's slope `alpha`, and 1 added to values.
    """
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

    `x` (n, W), `chosen` (n, k) numbers of experts, `shares` (n, k) float32. One expert after
    another, each for all tokens that chose it.
    """
    if len(x) == 1:
        return _alone(x, experts, chosen[0].tolist(), shares, alpha, limit)
    flat = chosen.flatten()
    order = flat.argsort()  # the tokens of each expert, together
    tokens = order // chosen.shape[1]
    counts = flat.bincount(minlength=len(experts.up_bias)).tolist()
    parts = []
    for number, rows in enumerate(x[tokens].split(counts)):
        if len(rows):
            gates = linear(rows, experts.up, number, experts.up_bias)
            inner = swiglu(gates, alpha, limit)
            parts.append(linear(inner, experts.down, number, experts.down_bias))
    made = torch.cat(parts).float() * shares.flatten()[order, None]
    return torch.zeros(x.shape, device=x.device).index_add_(0, tokens, made).to(x.dtype)


def _alone(
    x: Tensor, experts: Experts, chosen: list[int], shares: Tensor, alpha: float, limit: float
) -> Tensor:
    """Return the `mixture` of one token: nothing to sort, one SwiGLU for all of its experts."""
    gates = torch.cat([linear(x, experts.up, n, experts.up_bias) for n in chosen])
    rows = swiglu(gates, alpha, limit).split(1)
    down = zip(rows, chosen, strict=True)
    made = torch.cat([linear(row, experts.down, n, experts.down_bias) for row, n in down])
    return (shares @ made.float()).to(x.dtype)

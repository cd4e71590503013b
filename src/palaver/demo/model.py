"""The network: llama's architecture, small, with heads that can copy written in by hand.

Every head rotates ROTATED pairs of its dimensions by position and leaves the rest free of it,
which `rope_freqs.weight` says to llama.cpp too. Before training, layer 0 looks one to four
tokens back and layer 1 finds the place whose last tokens are the ones just written and copies
what follows there (an induction head, https://arxiv.org/abs/2209.11895). All other blocks
write nothing at first.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from msgspec import Struct
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

SPEEDS = (1.0, 0.4, 0.16, 0.064, 0.0256)  # radians per token of the rotated pairs
ROTATED = len(SPEEDS)
CODE = 127  # dimensions 1..127 hold what token this is; dimension 0 is a constant
BACK = 32  # dimensions each for the tokens one to four back


class Shape(Struct, frozen=True):
    """The sizes of a model."""

    vocab: int
    dim: int = 256
    layers: int = 5
    heads: int = 8
    hidden: int = 512
    context: int = 2048

    @property
    def head(self) -> int:
        """Dimensions of one head."""
        return self.dim // self.heads


class Block(nn.Module):  # type: ignore[misc]
    """One layer: attention, then a gated network."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, h = shape.dim, shape.hidden
        self.heads = shape.heads
        self.attn_norm = nn.Parameter(torch.ones(d))
        self.ffn_norm = nn.Parameter(torch.ones(d))
        self.q, self.k, self.v, self.o = (nn.Parameter(_random(d, d)) for _ in range(4))
        self.gate, self.up = nn.Parameter(_random(h, d)), nn.Parameter(_random(h, d))
        self.down = nn.Parameter(torch.zeros(d, h))
        self.o.data.zero_()

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Add what the layer has to say to `x`, of shape (rows, tokens, dim)."""
        rows, tokens, d = x.shape
        y = F.rms_norm(x, (d,), self.attn_norm, 1e-5)

        def split(weight: Tensor) -> Tensor:
            return F.linear(y, weight).view(rows, tokens, self.heads, -1).transpose(1, 2)

        q, k, v = rotate(split(self.q), turn), rotate(split(self.k), turn), split(self.v)
        scores = (q @ k.transpose(-1, -2)) * (q.shape[-1] ** -0.5)
        z = scores.masked_fill(~mask, -1e4).softmax(-1).to(v.dtype) @ v
        x = x + F.linear(z.transpose(1, 2).reshape(rows, tokens, d), self.o)
        y = F.rms_norm(x, (d,), self.ffn_norm, 1e-5)
        return x + F.linear(F.silu(F.linear(y, self.gate)) * F.linear(y, self.up), self.down)


class Tiny(nn.Module):  # type: ignore[misc]
    """The whole network; the embedding is used for the output too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Parameter(torch.randn(shape.vocab, shape.dim))
        self.norm = nn.Parameter(torch.ones(shape.dim))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))

    def body(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Run the layers over `ids` (rows, tokens); return (rows, tokens, dim)."""
        cos, sin = angles(ids.shape[1], self.shape.head, ids.device)
        x = F.embedding(ids, self.embed)
        for block in self.blocks:
            x = block(x, (cos, sin), mask)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Return the scores of the next token."""
        return F.linear(F.rms_norm(x, (x.shape[-1],), self.norm, 1e-5), self.embed)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the scores of the next token at every place."""
        if mask is None:
            size = ids.shape[1]
            mask = torch.ones(size, size, dtype=torch.bool, device=ids.device).tril()
        return self.logits(self.body(ids, mask))


def angles(tokens: int, head: int, device: Any = "cpu") -> tuple[Tensor, Tensor]:
    """Return cosines and sines, shape (tokens, head / 2); pairs without position turn by 0."""
    speeds = torch.zeros(head // 2, device=device)
    speeds[:ROTATED] = torch.tensor(SPEEDS)
    turn = torch.arange(tokens, device=device)[:, None] * speeds
    return turn.cos(), turn.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of dimensions, llama.cpp's "norm" order."""
    cos, sin = turn
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


def _random(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns) * (0.5 / math.sqrt(columns))


def _orthogonal(rows: int, columns: int) -> Tensor:
    return torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns)))[0].T[
        :rows, :columns
    ]


@torch.no_grad()  # type: ignore[untyped-decorator]
def write_copying(model: Tiny, look: float = 0.4, match: float = 0.2, gain: float = 5.0) -> None:
    """Set the embedding and the copying heads of layers 0 and 1 by hand.

    `look` is how sharply layer 0 looks back, `match` how sharply layer 1 picks the place to
    copy from, `gain` how loud the copied token is. Found by trying on dialogues of training.
    """
    d, head = model.shape.dim, model.shape.head
    embed = torch.zeros(model.shape.vocab, d)
    embed[:, 0] = math.sqrt(CODE)
    embed[:, 1 : CODE + 1] = torch.randn(model.shape.vocab, CODE)
    model.embed.copy_(embed * 0.06)
    project = _orthogonal(BACK, CODE) * math.sqrt(CODE / BACK)
    first, second = model.blocks[0], model.blocks[1]
    first.v.zero_()
    for back in range(4):
        at = slice(back * head, (back + 1) * head)
        first.q[at].zero_()
        first.k[at].zero_()
        for pair, speed in enumerate(SPEEDS):
            row = back * head + 2 * pair
            strength = math.sqrt(look / ROTATED * math.sqrt(head)) / math.sqrt(1.5)
            first.q[row, 0] = strength
            first.k[row, 0] = strength * math.cos(speed * (back + 1))
            first.k[row + 1, 0] = strength * math.sin(speed * (back + 1))
        first.v[at, 1 : CODE + 1] = project
        start = CODE + 1 + back * BACK
        first.o[start : start + BACK, at] = torch.eye(BACK) * 0.06
    _write_matching(second, head, project, match)
    for part in range(4):
        at = slice(part * head, (part + 1) * head)
        lane = slice(1 + part * BACK, min(1 + (part + 1) * BACK, CODE + 1))
        second.v[at].zero_()
        second.v[at, lane] = torch.eye(BACK)[:, : lane.stop - lane.start]
        second.o[lane, at] = torch.eye(BACK)[: lane.stop - lane.start] * gain * 0.06


def _write_matching(block: Block, head: int, project: Tensor, match: float) -> None:
    """Let heads 0-3 match the last tokens with those before a place, heads 4-5 one further on."""
    free = head - 2 * ROTATED
    weights = (1.0, 0.8, 0.6)  # of the token itself, the one before, the one before that
    for number in range(6):
        shift = 0 if number < 4 else 1
        rows = slice(number * head + 2 * ROTATED, (number + 1) * head)
        block.q[number * head : (number + 1) * head].zero_()
        block.k[number * head : (number + 1) * head].zero_()
        for back, weight in enumerate(weights[: 3 - shift]):
            mix = torch.randn(free, BACK) * (weight * match / math.sqrt(free)) ** 0.5
            lane = CODE + 1 + (back - 1) * BACK
            mine = mix @ project if back == 0 else mix
            into = slice(1, CODE + 1) if back == 0 else slice(lane, lane + BACK)
            block.q[rows, into] += mine
            lane = CODE + 1 + (back + shift) * BACK
            block.k[rows, lane : lane + BACK] += mix

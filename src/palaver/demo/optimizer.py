"""Muon for matrices, AdamW for the rest, with the work of a step shared between processes.

Muon: https://kellerjordan.github.io/posts/muon/ (orthogonalised momentum by Newton-Schulz).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from palaver.demo.model import Tiny

MUON_RATE, ADAM_RATE = 0.008, 1e-3
MOMENTUM, DECAY = 0.95, 0.02


def orthogonalise(stack: Tensor) -> Tensor:
    """Bring every matrix of a stack (n, rows, columns) close to the nearest orthogonal one."""
    x = stack.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.mT if tall else x).float()


class Optimizer:
    """Both optimisers in one; gradients are summed over processes here."""

    def __init__(self, model: Tiny, rank: int, world: int) -> None:
        self.rank, self.world = rank, world
        self.matrices = [p for b in model.blocks for p in b.parameters() if p.ndim == 2]
        chosen = {id(p) for p in self.matrices}
        self.others = [p for p in model.parameters() if id(p) not in chosen]
        self.momentum = [torch.zeros_like(p) for p in self.matrices]
        self.adam = torch.optim.AdamW(self.others, ADAM_RATE, (0.9, 0.97), weight_decay=0.0)

    def _share(self, tensors: list[Tensor]) -> None:
        """Sum tensors over all processes, in place."""
        if self.world == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        torch.distributed.all_reduce(flat)
        at = 0
        for t in tensors:
            t.copy_(flat[at : at + t.numel()].view_as(t))
            at += t.numel()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, rate: float, tokens: Tensor, loss: Tensor) -> None:
        """Take one step at `rate` (0..1) of the full learning rates.

        `tokens` and `loss` are this process's count and sum; they become those of all.
        """
        grads = [p.grad for p in (*self.matrices, *self.others)]
        self._share([*grads, tokens, loss])
        for grad in grads:
            grad /= tokens
        updates = []
        for p, m in zip(self.matrices, self.momentum, strict=True):
            m.lerp_(p.grad, 1 - MOMENTUM)
            updates.append(p.grad.lerp(m, MOMENTUM))
        self._orthogonalise(updates)
        for p, u in zip(self.matrices, updates, strict=True):
            scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
            p.mul_(1 - MUON_RATE * rate * DECAY).add_(u, alpha=-MUON_RATE * rate * scale)
        nn.utils.clip_grad_norm_(self.others, 1.0)
        self.adam.param_groups[0]["lr"] = ADAM_RATE * rate
        self.adam.step()
        for p in (*self.matrices, *self.others):
            p.grad = None

    def _orthogonalise(self, updates: list[Tensor]) -> None:
        shapes: dict[tuple[int, ...], list[Tensor]] = {}
        for at, u in enumerate(updates):
            if at % self.world == self.rank:
                shapes.setdefault(tuple(u.shape), []).append(u)
            else:
                u.zero_()
        for group in shapes.values():
            for u, new in zip(group, orthogonalise(torch.stack(group)), strict=True):
                u.copy_(new)
        self._share(updates)

    def state(self) -> dict[str, Any]:
        """Return what a later run needs to go on."""
        return {"momentum": self.momentum, "adam": self.adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        for mine, theirs in zip(self.momentum, state["momentum"], strict=True):
            mine.copy_(theirs)
        self.adam.load_state_dict(state["adam"])

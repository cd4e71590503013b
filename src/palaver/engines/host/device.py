"""Where torch runs a model."""

from __future__ import annotations

import torch

from palaver.core.errors import UserError


def choose(wanted: str | None) -> str:
    """Return where the model goes: as asked, else CUDA, MPS or the CPU. Raises UserError."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted is None:
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = wanted.partition(":")
    if kind not in ("cpu", "cuda", "mps", "auto") or (number and not number.isdecimal()):
        raise UserError(f"device = {wanted!r}: must be cpu, cuda, cuda:1, mps or auto")
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise UserError(
            f"{wanted} is not available on this hardware", fix="leave --device out, or use cpu"
        )
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"there is no {wanted}: the GPUs are 0 to {torch.cuda.device_count() - 1}")
    return wanted

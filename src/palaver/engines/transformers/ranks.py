"""One model shared by several processes, each with a part of every layer's weights.

The host is rank 0. It starts the others, and whatever it does with the model they do in step: told
by broadcast which ids come next, so that nobody samples but rank 0. They talk over loopback alone
and end with the host, whose pipe is their stdin. Run as
`python -m palaver.engines.transformers.ranks NUMBER`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import distributed

from palaver.config import environment
from palaver.core.errors import UserError
from palaver.engines.child import program
from palaver.engines.child.options import Options
from palaver.engines.host.folder import Folder
from palaver.engines.transformers.part import TransformersModel, open_part

_FORWARD, _CROP = 0, 1
_MEETING = "ranks"  # a file in the engine's private folder
_NEVER = timedelta(days=365)  # a chat may wait for its user


def check(options: Options, folder: Folder) -> None:
    """Raise UserError where a model can't be shared as asked."""
    heads = folder.text.get("num_key_value_heads") or folder.text.get("num_attention_heads")
    ranks = options.ranks
    if not isinstance(heads, int) or heads % ranks:
        raise UserError(
            f"{folder.name} has {heads} key-value heads: {ranks} processes can't share them",
            fix="use a --tensor-parallel that divides them",
        )
    for name, given in (("--quantize", options.quantize), ("--lora", options.loras)):
        if given:
            raise UserError(f"{name} can't be used with --tensor-parallel")
    if options.device == "auto":
        raise UserError("--device auto can't be used with --tensor-parallel")


def start(options: Options) -> list[subprocess.Popen[bytes]]:
    """Start the other ranks and meet them; whoever holds what is returned holds them alive."""
    started = []
    for rank in range(1, options.ranks):
        other = subprocess.Popen(
            [sys.executable, "-P", "-m", "palaver.engines.transformers.ranks", str(rank)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment.engine_environment() | environment.for_rank(rank),
        )
        assert other.stdin
        other.stdin.write(msgspec.json.encode(options) + b"\n")
        other.stdin.flush()
        started.append(other)
    _meet(options, 0)
    return started


def _meet(options: Options, rank: int) -> None:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend,
        init_method=f"file://{Path(options.folder) / _MEETING}",
        rank=rank,
        world_size=options.ranks,
        timeout=_NEVER,
    )


class SharedModel:
    """A `palaver.engines.host.model.HostedModel` over rank 0's part and those of the others."""

    def __init__(self, part: TransformersModel, others: list[subprocess.Popen[bytes]]) -> None:
        """`part` is rank 0's own."""
        self._part = part
        self._others = others
        self.file = part.file
        self.vocabulary = part.vocabulary
        self.tokens = part.tokens
        self.ends = part.ends

    def forward(self, ids: Sequence[int]) -> Any:
        """Run `ids` on all ranks; return the last position's logits."""
        _tell(_FORWARD, ids)
        return self._part.forward(ids)

    def crop(self, length: int) -> int:
        """Cut the cache of all ranks back."""
        _tell(_CROP, [length])
        return self._part.crop(length)

    def save(self, path: Path, ids: Sequence[int]) -> None:
        """Refuse: each rank holds a part of the cache."""
        raise UserError("a cache that several processes share can't be saved")

    def restore(self, path: Path) -> list[int]:
        """Refuse; see `save`."""
        raise UserError("a cache that several processes share can't be restored")


def _tell(what: int, numbers: Sequence[int]) -> None:
    distributed.broadcast(torch.tensor([what, len(numbers)]), 0)
    distributed.broadcast(torch.tensor(list(numbers)), 0)


def _follow(options: Options, report: program.Say) -> None:
    """Do on this rank what rank 0 does, for good."""
    _meet(options, int(sys.argv[1]))
    part = open_part(options, lambda _: None)
    while True:
        head = torch.zeros(2, dtype=torch.int64)
        distributed.broadcast(head, 0)
        numbers = torch.zeros(int(head[1]), dtype=torch.int64)
        distributed.broadcast(numbers, 0)
        if head[0] == _FORWARD:
            part.forward(numbers.tolist())
        else:
            part.crop(int(numbers[0]))


if __name__ == "__main__":
    program.run(_follow, ())

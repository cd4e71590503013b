"""A token of our gpt-oss with its KV cache, against none, and against transformers' with its own.

    python -m benchmarks.gpt_oss [--rounds N] [--length N] [--experts N] [--threads N]

Running everything again for each token is what OpenAI's own torch code does
(gpt_oss/torch/model.py). A random checkpoint of 4 layers, 1,024 wide, in MXFP4 and bfloat16; a
round is: once without the cache, some tokens with it, one after the other. CPU time of this
process, so that others on the machine count for less. Tokens run through the model are counted.
Memory is what the process has more than before, mapped pages of the file included.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from benchmarks.support import arguments, conditions, ratios, spread, table, verdict
from tests.support import gpt_oss
from tests.support.gpt_oss import Shape

from palaver.engines.gpt_oss import weights
from palaver.engines.gpt_oss.checkpoint import Checkpoint
from palaver.engines.gpt_oss.folder import GptOssFolder
from palaver.engines.gpt_oss.network import Cache, Network

TOKENS = 8  # with the cache, each round


class Counted:
    """A network that counts the tokens run through it."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.tokens = 0

    def run(self, ids: Sequence[int], cache: Cache) -> int:
        """Run `ids`, return the likeliest next one."""
        self.tokens += len(ids)
        return int(self.network.forward(ids, cache).argmax())


def loaded(folder: Path, dtype: torch.dtype, unpack: bool) -> Counted:
    """Load the checkpoint."""
    read = GptOssFolder(folder)
    with Checkpoint(folder, read.headers) as checkpoint:
        mapped = weights.load(read.shape, checkpoint)
    room = weights.unpacked_size(mapped, dtype) if unpack else 0
    return Counted(Network(read.shape, weights.convert(mapped, dtype, "cpu", room=room)))


def one_round(model: Counted, text: list[int], dtype: torch.dtype) -> tuple[float, float, float]:
    """Return seconds a token without and with the cache, and tokens run for each with it."""
    config = model.network.config
    room = len(text) + TOKENS
    began = time.process_time()
    model.run(text, Cache(config, room, dtype, "cpu"))
    without = time.process_time() - began

    cache = Cache(config, room, dtype, "cpu")
    token = model.run(text, cache)
    model.tokens = 0
    began = time.process_time()
    for _ in range(TOKENS):
        token = model.run([token], cache)
    return without, (time.process_time() - began) / TOKENS, model.tokens / TOKENS


def memory() -> float:
    """Return the megabytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def against_none(path: Path, text: list[int], rounds: int) -> None:
    """Print what the cache saves, for each type and with experts packed and kept unpacked."""
    rows = []
    for dtype, unpack in product((torch.bfloat16, torch.float32), (False, True)):
        before = memory()
        model = loaded(path, dtype, unpack)
        one_round(model, text, dtype)  # the first reads the file
        held = memory() - before
        without, using, counts = zip(
            *(one_round(model, text, dtype) for _ in range(rounds)), strict=True
        )
        times = ratios(without, using)
        rows.append([
            f"{name(dtype)}, {'unpacked' if unpack else 'packed'}",
            spread(without, ".3f"), spread([1e3 * t for t in using], ".1f"), f"{held:.0f}",
            f"{max(counts):g}", spread(times, ".1f"), verdict(statistics.median(times), least=20),
        ])  # fmt: skip
        del model
    head = ["experts", "without, s", "with, ms", "MB", "tokens run", "times as fast", "target"]
    table(head, rows)


def theirs(model: Any, text: list[int]) -> tuple[float, float]:
    """Return transformers' seconds for the text, and for a token with its cache."""
    with torch.inference_mode():
        began = time.process_time()
        out = model(torch.tensor([text]), use_cache=True, logits_to_keep=1)
        read = time.process_time() - began
        began = time.process_time()
        for _ in range(TOKENS):
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            out = model(token, past_key_values=out.past_key_values, use_cache=True)
        return read, (time.process_time() - began) / TOKENS


def against_transformers(
    path: Path, made: gpt_oss.Tensors, shape: Shape, text: list[int], rounds: int
) -> None:
    """Print tokens/s of both for the same weights in the same type, in turns."""
    rows = []
    for dtype in (torch.bfloat16, torch.float32):
        reference = gpt_oss.reference(shape, made).to(dtype)
        packed, ours = loaded(path, dtype, False), loaded(path, dtype, True)
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(rounds + 1):  # the first warms up
            some = {
                "theirs": theirs(reference, text),
                "ours": one_round(ours, text, dtype)[:2],
                "ours, packed": one_round(packed, text, dtype)[:2],
            }
            for who, times in some.items() if number else ():
                found.setdefault(who, []).append(times)
        for who, times in found.items():
            reading, writing = zip(*times, strict=True)
            read, wrote = zip(*found["theirs"], strict=True)
            rows.append([
                f"{name(dtype)}, {who}",
                f"{len(text) / statistics.median(reading):.0f}", spread(ratios(read, reading)),
                f"{1 / statistics.median(writing):.1f}", spread(ratios(wrote, writing)),
            ])  # fmt: skip
    table(["", "reads, tokens/s", "times theirs", "writes, tokens/s", "times theirs"], rows)


def name(dtype: torch.dtype) -> str:
    """Return the name of a type."""
    return str(dtype).removeprefix("torch.")


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--length", type=int, default=512, help="of the text, in tokens (512)")
    parser.add_argument("--experts", type=int, default=32, help="of a layer (32)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    asked = parser.parse_args()
    conditions()
    torch.set_num_threads(asked.threads)
    shape = Shape(
        layers=4, width=1024, inner=1024, experts=asked.experts, chosen=4, heads=16, kv_heads=2,
        head=64, vocabulary=32_000,
    )  # fmt: skip
    text = torch.randint(0, shape.vocabulary, (asked.length,)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        made = gpt_oss.random(shape, dtype=torch.bfloat16)
        path = gpt_oss.write(Path(folder), shape, "original", made)
        against_none(path, text, asked.rounds)
        against_transformers(path, made, shape, text, asked.rounds)


if __name__ == "__main__":
    main()

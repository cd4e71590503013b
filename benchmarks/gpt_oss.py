"""A token of our gpt-oss with its KV cache, against running the whole text again for each.

    python -m benchmarks.gpt_oss [--rounds N] [--length N] [--experts N] [--threads N]

Running everything again is what OpenAI's own torch code does (gpt_oss/torch/model.py). A random
checkpoint of 4 layers, 1,024 wide, in MXFP4 and bfloat16; a round is: once without the cache, some
tokens with it, one after the other. CPU time of this process, so that others on the machine count
for less. Tokens run through the model are counted.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

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
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = gpt_oss.random(shape, dtype=torch.bfloat16)
        path = gpt_oss.write(Path(folder), shape, "original", made)
        for dtype in (torch.bfloat16, torch.float32):
            for unpack in (False, True):
                model = loaded(path, dtype, unpack)
                one_round(model, text, dtype)  # the first reads the file
                rounds = [one_round(model, text, dtype) for _ in range(asked.rounds)]
                without, using, counts = zip(*rounds, strict=True)
                times = ratios(without, using)
                rows.append([
                    f"{str(dtype).removeprefix('torch.')}, {'unpacked' if unpack else 'packed'}",
                    spread(without, ".3f"), spread([1e3 * t for t in using], ".1f"),
                    f"{max(counts):g}", spread(times, ".1f"),
                    verdict(statistics.median(times), least=20),
                ])  # fmt: skip
    head = ["experts", "without, s", "with, ms", "tokens run", "times as fast", "target"]
    table(head, rows)


if __name__ == "__main__":
    main()

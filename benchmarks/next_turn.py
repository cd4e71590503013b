"""A turn after 2,000 tokens in every torch engine: what it reads, and whether it says the same.

    python -m benchmarks.next_turn [--width N]

Random models of Qwen3's and gpt-oss's layers, each through its host. The history is read and
answered; then comes a turn of 25 tokens, answered greedily. After the cache was given up for
another text, the same turn is read whole: the tokens said have to be the same. In float32: what
bfloat16 rounds depends on how many tokens are read at once, and random weights say near ties.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from benchmarks.hosted import END, ENVIRONMENT, NANO, model_folder, options
from benchmarks.support import arguments, conditions, table
from msgspec import structs
from tests.support import gpt_oss
from tests.support.gpt_oss import Shape

from palaver.core.generation import Sampling
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.process import Child

HISTORY, NEW, SAID, ANSWER = 2000, 25, 20, 40  # tokens


def gpt_oss_folder(folder: Path, width: int) -> Path:
    """Write a random gpt-oss with palaver-nano's tokenizer."""
    shape = Shape(
        layers=4, width=width, inner=width, experts=8, chosen=4, heads=8, kv_heads=4, head=64,
        vocabulary=363,
    )  # fmt: skip
    folder.mkdir()
    made = gpt_oss.random(shape, dtype=torch.bfloat16)
    path = gpt_oss.write(folder, shape, "original", made)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(NANO / name, path)
    return path


async def turn(engine: ChildEngine) -> list[str]:
    """Return what a turn read, its seconds, those of a whole reading, and whether both agree."""
    history = [7 + (5 * i * i) % 300 for i in range(HISTORY)]
    asked: dict[str, Any] = {"temperature": 0.0, "logit_bias": ((END, -1e9),)}

    async def said(prompt: list[int], most: int) -> tuple[list[int], Any]:
        ids: list[int] = []
        async for token in engine.generate(prompt, Sampling(max_tokens=most, **asked)):
            ids += token.ids
            timings = token.timings
        return ids, timings

    first, _ = await said(history, SAID)
    prompt = [*history, *first, *range(100, 100 + NEW)]
    again, timings = await said(prompt, ANSWER)
    await said([340], 1)
    fresh, whole = await said(prompt, ANSWER)
    return [
        *(f"{timings.prefilled:,}", f"{timings.prefill_seconds:.2f}"),
        *(f"{whole.prefilled:,}", f"{whole.prefill_seconds:.2f}"),
        "the same" if again == fresh else "DIFFERS",
    ]


async def main() -> None:
    """Run every engine and print."""
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--width", type=int, default=512, help="of the models (512)")
    asked = parser.parse_args()
    conditions()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        qwen = model_folder(home / "qwen3", asked.width)
        folders = {
            "transformers": qwen,
            "mlx": qwen,
            "gpt-oss": gpt_oss_folder(home / "gpt-oss", asked.width),
        }
        for kind, folder in folders.items():
            given = structs.replace(options(home, folder, kind), dtype="float32")
            child = Child.start(given, ENVIRONMENT, None)
            engine = await ChildEngine.start(child, ENVIRONMENT)
            try:
                rows.append([kind, *await turn(engine)])
            finally:
                await engine.close()
    table(("engine", "read", "s", "read whole", "s", f"{ANSWER} tokens said"), rows)


if __name__ == "__main__":
    asyncio.run(main())

"""Sixteen prompts side by side against one after another, on llama.cpp and on torch.

    python -m benchmarks.batch [--rounds N] [--model X.gguf]

Random models of Qwen3-0.6B's layers; each prompt takes some 24 tokens and is answered with 24.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from benchmarks.hosted import ENVIRONMENT, model_folder, options

from palaver.core.generation import Sampling
from palaver.engines.child.batch import complete
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.options import Options
from palaver.engines.child.process import Child

sys.path.insert(0, str(Path(__file__).parent))
from support import arguments, conditions, model_file, spread, verdict

PROMPTS = [[50 + (7 * row + 3 * i) % 250 for i in range(20 + row % 8)] for row in range(16)]
ASKED = Sampling(max_tokens=24, temperature=0.0, logit_bias=((2, -1e9),))


async def measure(given: Options, rounds: int) -> list[float]:
    """Return how much faster all at a time were, by round."""
    engine = await ChildEngine.start(Child.start(given, ENVIRONMENT, None), ENVIRONMENT)
    found = []
    try:
        await complete(engine, PROMPTS[:1], ASKED)
        for _ in range(rounds):
            began = time.perf_counter()
            for prompt in PROMPTS:
                async for _token in engine.generate(prompt, ASKED):
                    pass
            middle = time.perf_counter()
            await complete(engine, PROMPTS, ASKED)
            found.append((middle - began) / (time.perf_counter() - middle))
    finally:
        await engine.close()
    return found


async def main() -> None:
    """Measure both engines and print."""
    parser = arguments(__doc__ or "", rounds=3, model=True)
    parser.add_argument("--width", type=int, default=1024, help="of the torch model")
    parser.add_argument("--engine", choices=("llama-cpp", "transformers"), help="one of the two")
    asked = parser.parse_args()
    conditions()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        gguf = model_file(asked.model) if asked.engine != "transformers" else ""
        torch = options(home, model_folder(home / "model", asked.width))
        llama = msgspec.structs.replace(
            torch, engine="llama-cpp", model=str(gguf), parallel=16, context=256
        )
        for given in (llama, torch):
            if asked.engine not in (None, given.engine):
                continue
            found = await measure(given, asked.rounds)
            said = verdict(statistics.median(found), least=2)
            print(f"{given.engine}: {spread(found)} times as fast; {said}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

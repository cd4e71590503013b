"""What the host costs a torch model: its tokens/s against the same loop in one process.

    python -m benchmarks.hosted [--rounds N]

A random model of Qwen3's layers, some 10 ms a token on one thread. Both sides run the same
`TransformersModel` greedily, in turns; what differs is process, socket, JSON and the client.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from benchmarks.support import arguments, conditions, ratios, spread, table, verdict

from palaver.core.generation import Sampling
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.options import Options
from palaver.engines.child.process import Child
from palaver.engines.host.sampling import Sampler, settings
from palaver.engines.transformers.model import open_model
from palaver.engines.transformers.part import TransformersModel

NANO = Path(__file__).parents[1] / "tests" / "data" / "palaver-nano"
TOKENS = 100
END = 2
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def model_folder(folder: Path, width: int) -> Path:
    """Write a random model with palaver-nano's tokenizer."""
    torch.manual_seed(1)
    config = transformers.Qwen3Config(
        vocab_size=363, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=12,
        num_attention_heads=8, num_key_value_heads=4, head_dim=64, max_position_embeddings=8192,
        bos_token_id=0, eos_token_id=END,
    )  # fmt: skip
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(
        folder
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(NANO / name, folder)
    return folder


def options(home: Path, model: Path, engine: str = "transformers") -> Options:
    """Options of an engine with one thread."""
    for name in ("state", "kv"):
        (home / name).mkdir(exist_ok=True, mode=0o700)
    return Options(
        model=str(model), folder=str(home / "state"), slots=str(home / "kv"),
        engine=engine, threads=1, context=4096,
    )  # fmt: skip


def loop(model: TransformersModel, prompt: list[int]) -> float:
    """Return the seconds a token takes in this process, from the second to the last."""
    model.crop(0)
    logits = model.forward(prompt)
    step = model.vocabulary.stream(prompt)
    sampler = Sampler(settings({"temperature": 0}, {}))
    began = time.perf_counter()
    for n in range(TOKENS):
        logits[END] = -np.inf
        token = sampler.pick(logits, ())
        step(token)
        if n == 0:
            began = time.perf_counter()
        logits = model.forward([token])
    return (time.perf_counter() - began) / TOKENS


async def hosted(engine: ChildEngine, prompt: list[int]) -> float:
    """Return the seconds a token takes as the client sees it."""
    asked = Sampling(max_tokens=TOKENS + 1, temperature=0.0, logit_bias=((END, -1e9),))
    first = last = 0.0
    async for token in engine.generate(prompt, asked):
        if token.count:
            last = time.perf_counter()
            first = first or last
    return (last - first) / TOKENS


async def main() -> None:
    """Measure both in turns and print."""
    parser = arguments(__doc__ or "", rounds=7)
    parser.add_argument("--width", type=int, default=512, help="the model's width")
    asked = parser.parse_args()
    conditions()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        folder = model_folder(home / "model", asked.width)
        given = options(home, folder)
        here = open_model(given, lambda _: None)
        engine = await ChildEngine.start(Child.start(given, ENVIRONMENT, None), ENVIRONMENT)
        try:
            prompt = list(range(50, 80))
            loop(here, prompt)
            await hosted(engine, prompt)
            alone, through = [], []
            for _ in range(asked.rounds):
                alone.append(loop(here, prompt))
                through.append(await hosted(engine, prompt))
            table(
                ("", "ms a token"),
                [
                    ("in one process", f"{1e3 * np.median(alone):.2f}"),
                    ("host and socket", f"{1e3 * np.median(through):.2f}"),
                ],
            )
            share = ratios(alone, through)
            print(f"tokens/s, host / one process: {spread(share)}", end=" ")
            print(verdict(float(np.median(share)), least=0.97))
        finally:
            await engine.close()


if __name__ == "__main__":
    asyncio.run(main())

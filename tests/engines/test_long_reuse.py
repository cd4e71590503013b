"""The next turn after 2,000 tokens reads what is new, and says what a fresh reading says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from palaver.engines.child.options import Options
from palaver.engines.gpt_oss.model import open_model as gpt_oss
from palaver.engines.host import sampling
from palaver.engines.host.slot import Chunk, Request, Slot, Stop
from palaver.engines.mlx.model import open_model as mlx

DATA = Path(__file__).parents[1] / "data"
ENGINES = {
    "gpt-oss": (gpt_oss, DATA / "palaver-nano-gpt-oss"),
    "mlx": (mlx, DATA / "palaver-nano-gpt-oss"),
}
HISTORY = [(31 * n + n // 7) % 350 for n in range(2000)]
NEW = [5, 9, 17, 33, 65, 129, 257]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Recorded:
    """A hosted model that notes how many ids it was given and what it said to the last."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.given: list[int] = []
        self.said: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def forward(self, ids: Sequence[int]) -> Any:
        self.given.append(len(ids))
        logits = self._model.forward(ids)
        self.said.append(logits.copy())
        return logits


def long(folder: Path, source: Path) -> Path:
    """Copy a model, saying that it was trained for more tokens than it was."""
    shutil.copytree(source, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"max_position_embeddings": 4096}
    path.write_text(json.dumps(config))
    return folder


def reply(slot: Slot, prompt: list[int], most: int) -> list[int]:
    """Return the ids of a greedy reply."""
    chosen = sampling.settings({"temperature": 0, "logit_bias": [[2, -1e3]]}, {})
    ids: list[int] = []

    def emit(chunk: Chunk) -> None:
        ids.extend(chunk.tokens)

    slot.reply(Request(prompt, most, (), chosen), emit, Stop())
    return ids


@pytest.mark.parametrize("name", ENGINES)
def test_the_next_turn_at_two_thousand_tokens(name: str, tmp_path: Path) -> None:
    opener, source = ENGINES[name]
    options = Options(
        model=str(long(tmp_path / "model", source)), folder="/nowhere", slots="/nowhere",
        context=2200, threads=1, dtype="float32",
    )  # fmt: skip
    model = Recorded(opener(options, lambda _: None))
    slot = Slot(model, 256)
    first = reply(slot, HISTORY, 6)
    assert sum(model.given) == len(HISTORY) + 5  # a token for each but the last

    prompt = [*HISTORY, *first, *NEW]
    model.given.clear()
    model.said.clear()
    again = reply(slot, prompt, 6)
    assert model.given == [1 + len(NEW), 1, 1, 1, 1, 1]  # the last of the reply was never read
    reused = list(model.said)

    model.crop(0)
    model.said.clear()
    fresh = Slot(model, 256)
    assert reply(fresh, prompt, 6) == again
    for a, b in zip(reused, model.said[-6:], strict=True):
        assert np.abs(a - b).max() < 1e-3

"""A model for the host that says what it is told to: for the moments no real one can be held at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from palaver.engines.child.options import ModelFile
from palaver.engines.host.vocabulary import JsonVocabulary

NANO = Path(__file__).parents[1] / "data" / "palaver-nano"


class Parrot:
    """Says `text` after any prompt and ends; `before` is called before each step with its number.

    `cuts` False: its cache can't be cut back at any place.
    """

    def __init__(
        self, text: str, before: Callable[[int], None] = lambda _: None, *, cuts: bool = True
    ) -> None:
        self.vocabulary = JsonVocabulary(NANO / "tokenizer.json")
        self.tokens = self.vocabulary.size
        self.ends = frozenset({2})
        self.says = [*self.vocabulary.encode(text, special=False), 2]
        self.held: list[int] = []
        self.steps: list[int] = []  # how many ids each step was given
        self.before = before
        self._cuts = cuts
        self.file = ModelFile(
            name="parrot", fingerprint="p", context=128, threads=1, kv_bytes_per_token=1,
            weights_bytes=1, cut_back=cuts, window=0, control=(), user_defined=(), eog=(),
            bos="", eos="", bos_id=None, prefix_space=False, template=None, metadata={},
        )  # fmt: skip

    def forward(self, ids: Sequence[int]) -> Any:
        self.before(len(self.steps))
        self.steps.append(len(ids))
        self.held += ids
        logits = np.zeros(self.tokens, np.float32)
        logits[self.says[min(self._said(), len(self.says) - 1)]] = 30.0
        return logits

    def _said(self) -> int:
        """Return how much of its text stands at the end of what it holds."""
        for n in range(min(len(self.says), len(self.held)), 0, -1):
            if self.held[-n:] == self.says[:n]:
                return n
        return 0

    def crop(self, length: int) -> int:
        if length < len(self.held):
            del self.held[length if self._cuts else 0 :]
        return len(self.held)

    def save(self, path: Path, ids: Sequence[int]) -> None:
        assert list(ids) == self.held
        path.write_text(" ".join(map(str, ids)))

    def restore(self, path: Path) -> list[int]:
        self.held = []
        self.held = [int(i) for i in path.read_text().split()]
        return list(self.held)

"""From logits to a token: the same settings, in the same order, as llama.cpp has them.

Order and defaults are those of llama.cpp's `common_params_sampling` (b11549): penalty, top-k,
top-p, min-p, temperature. So a model answers alike on every engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from palaver.engines.host.grammar import Held

Array = np.ndarray[Any, np.dtype[Any]]
_DEFAULTS = {
    "temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0,
}  # fmt: skip
_PENALIZED = 64  # how many of the last tokens a penalty is for


class Settings(msgspec.Struct, frozen=True):
    """Sampling of one request, every value decided; 0 turns `top_k` and `min_p` off."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repeat_penalty: float
    presence_penalty: float
    frequency_penalty: float
    bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None
    logprobs: int = 0


def settings(asked: dict[str, Any], model: dict[str, float]) -> Settings:
    """Decide every value: what was asked, else the model's own, else the usual."""
    values = {name: asked.get(name, model.get(name, usual)) for name, usual in _DEFAULTS.items()}
    values["top_k"] = int(values["top_k"])
    return Settings(
        **values,
        bias=tuple((int(i), float(by)) for i, by in asked.get("logit_bias", ())),
        seed=asked.get("seed"),
        logprobs=int(asked.get("n_probs") or 0),
    )


class Sampler:
    """Picks tokens for one reply."""

    def __init__(self, chosen: Settings, held: Held | None = None) -> None:
        """`chosen.seed` None: another reply each time. `held` is the grammar that it is held to."""
        self._chosen = chosen
        self._held = held
        self._random = np.random.default_rng(chosen.seed)

    def pick(self, logits: Array, last: Sequence[int]) -> int:
        """Return the next token; `last` are the tokens before it. Changes `logits`."""
        if self._held is None:
            return self._draw(logits, last)
        self._held.mask(logits)
        token = self._draw(logits, last)
        self._held.take(token)
        return token

    def _draw(self, logits: Array, last: Sequence[int]) -> int:
        chosen = self._chosen
        for i, by in chosen.bias:
            if 0 <= i < len(logits):
                logits[i] += by
        self._penalize(logits, last[-_PENALIZED:])
        if chosen.temperature <= 0:
            return int(logits.argmax())
        ids = self._best(logits)
        scores: Array = logits[ids].astype(np.float64)
        weights = np.exp(scores - scores[0])
        keep = self._kept(weights / weights.sum())
        weights = np.exp((scores[:keep] - scores[0]) / chosen.temperature)
        at = np.searchsorted(weights.cumsum(), self._random.random() * weights.sum(), "right")
        return int(ids[min(int(at), keep - 1)])

    def _penalize(self, logits: Array, last: Sequence[int]) -> None:
        chosen = self._chosen
        repeat = chosen.repeat_penalty or 1.0
        if (repeat, chosen.presence_penalty, chosen.frequency_penalty) == (
            1.0,
            0.0,
            0.0,
        ) or not last:
            return
        seen, counts = np.unique(np.asarray(last), return_counts=True)
        values: Array = logits[seen]
        values = np.where(values > 0, values / repeat, values * repeat)
        logits[seen] = values - counts * chosen.frequency_penalty - chosen.presence_penalty

    def _best(self, logits: Array) -> Array:
        """Return the ids that top-k leaves, best first."""
        k = self._chosen.top_k
        if 0 < k < len(logits):
            ids: Array = np.argpartition(logits, -k)[-k:]
            best: Array = ids[np.argsort(-logits[ids], kind="stable")]
            return best
        all_: Array = np.argsort(-logits, kind="stable")
        return all_

    def _kept(self, chances: Array) -> int:
        """Return how many of the best tokens top-p and min-p leave, at least one."""
        keep = len(chances)
        if self._chosen.top_p < 1:
            keep = int(np.searchsorted(chances.cumsum(), self._chosen.top_p)) + 1
        if self._chosen.min_p > 0:
            keep = min(keep, int((chances >= self._chosen.min_p * chances[0]).sum()))
        return max(1, min(keep, len(chances)))


def logprobs(logits: Array, picked: int, count: int) -> list[tuple[int, float]]:
    """Return (id, log-probability) of the picked token and then of the `count` most likely."""
    scores: Array = logits.astype(np.float64)
    top = scores.max()
    total = float(top + np.log(np.exp(scores - top).sum()))
    best = np.argsort(-scores, kind="stable")[:count]
    return [(int(i), float(scores[i]) - total) for i in (picked, *best)]

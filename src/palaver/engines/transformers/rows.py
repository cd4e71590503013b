"""Several prompts run side by side, padded on the left so that all end in one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from palaver.engines.transformers import cache

_STEP = 2048  # tokens of all rows that are read at a time
_NARROWEST = 16  # columns


class PaddedRows:
    """A `palaver.engines.host.batch.Rows`: made by reading the prompts, none of them empty."""

    def __init__(
        self, model: Any, device: Any, prompts: Sequence[Sequence[int]], more: dict[str, Any]
    ) -> None:
        """`more` is for the model's forward."""
        self._model = model
        self._device = device
        self._more = more
        self._cache = cache.make(model.config)
        self._lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        longest = max(len(prompt) for prompt in prompts)
        pads = [longest - len(prompt) for prompt in prompts]
        ids = torch.tensor(
            [[0] * pad + list(prompt) for pad, prompt in zip(pads, prompts, strict=True)],
            device=device,
        )
        self._mask = (
            torch.arange(longest, device=device) >= torch.tensor(pads, device=device)[:, None]
        )
        places = (self._mask.cumsum(1) - 1).clamp(min=0)
        width = max(_NARROWEST, _STEP // len(prompts))
        for start in range(0, longest, width):
            end = min(start + width, longest)
            self._run(ids[:, start:end], self._mask[:, :end], places[:, start:end])

    def _run(self, ids: Any, mask: Any, places: Any) -> None:
        with torch.inference_mode():
            found = self._model(
                input_ids=ids,
                attention_mask=mask.long(),
                position_ids=places,
                past_key_values=self._cache,
                use_cache=True,
                **self._more,
            )
        self.logits = found.logits[:, -1].float().cpu().numpy()

    def step(self, ids: Sequence[int], keep: Sequence[int]) -> None:
        """Go on with the rows `keep`, each by its one id of `ids`."""
        with torch.inference_mode():
            if len(keep) < len(self._lengths):
                rows = torch.tensor(keep, device=self._device)
                cache.select(self._cache, rows)
                self._mask, self._lengths = self._mask[rows], self._lengths[rows]
            one = self._mask.new_ones((len(keep), 1))
            self._mask = torch.cat([self._mask, one], dim=1)
        tokens = torch.tensor(ids, device=self._device)[:, None]
        self._run(tokens, self._mask, self._lengths[:, None])
        self._lengths = self._lengths + 1

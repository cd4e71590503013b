"""The model's own tokenizer, asked of the engine's process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from palaver.engines.llama_cpp.options import ModelFile
from palaver.engines.llama_cpp.wire import Wire


class LlamaTokenizer:
    """Tokenizer over `/tokenize` and `/detokenize`."""

    def __init__(self, wire: Callable[[], Wire], model: ModelFile) -> None:
        self._wire = wire
        self.control = frozenset(model.control)
        self.eog = frozenset(model.eog)
        self.bos_id = model.bos_id if model.add_bos else None
        self.bos = model.bos

    async def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of `text`; see `palaver.core.engine.Tokenizer.encode`."""
        if not text:
            return []
        body = {"content": text, "add_special": False, "parse_special": special}
        return list((await self._wire().call("POST", "/tokenize", body))["tokens"])

    async def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, control tokens included."""
        if not ids:
            return ""
        return str(
            (await self._wire().call("POST", "/detokenize", {"tokens": list(ids)}))["content"]
        )

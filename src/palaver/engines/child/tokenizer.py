"""The model's own tokenizer, asked of the engine's process."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from palaver.engines.child.options import ModelFile

Call = Callable[[str, str, object], Awaitable[Any]]


class ChildTokenizer:
    """Tokenizer over `/tokenize` and `/detokenize`. Calls raise EngineError."""

    def __init__(self, call: Call, model: ModelFile, *, add_bos: bool) -> None:
        """`add_bos`: the model's prompts begin with its BOS, see `adds_bos`."""
        self._call = call
        self.control = frozenset(model.control)
        self.eog = frozenset(model.eog)
        self.bos_id = model.bos_id if add_bos else None
        self.bos = model.bos
        self._prefix_space = model.prefix_space
        found = "|".join(re.escape(t) for t in sorted(model.user_defined, key=len, reverse=True))
        self._defined = re.compile(f"(?={found})" if found else r"(?!)")

    async def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of `text`; see `palaver.core.engine.Tokenizer.encode`.

        llama.cpp finds user-defined tokens (often `<think>` or `<tool_call>`) also where it is
        told to parse no special ones, so a text without `special` is cut inside each of them.
        """
        if special:
            return await self._tokenize(text, special=True)
        cuts = [0, *(m.start() + 1 for m in self._defined.finditer(text)), len(text)]
        ids: list[int] = []
        for start, end in itertools.pairwise(cuts):
            piece = text[start:end]
            ids += await (self._inner(piece) if start else self._tokenize(piece, special=False))
        return ids

    async def _inner(self, text: str) -> list[int]:
        """Tokenise a piece that stands inside a text: without the blank that texts begin with."""
        if not self._prefix_space:
            return await self._tokenize(text, special=False)
        # Nothing merges with a line's end in such a vocabulary: it has a byte token for it.
        before = await self._tokenize("\n", special=False)
        ids = await self._tokenize("\n" + text, special=False)
        return ids[len(before) :]

    async def _tokenize(self, text: str, *, special: bool) -> list[int]:
        if not text:
            return []
        body = {"content": text, "add_special": False, "parse_special": special}
        return list((await self._call("POST", "/tokenize", body))["tokens"])

    async def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, control tokens included."""
        if not ids:
            return ""
        return str((await self._call("POST", "/detokenize", {"tokens": list(ids)}))["content"])


async def adds_bos(call: Call, bos_id: int | None) -> bool:
    """Ask llama.cpp whether the model's prompts begin with BOS; its rules are many."""
    body = {"content": "", "add_special": True}
    return bos_id is not None and (await call("POST", "/tokenize", body))["tokens"][:1] == [bos_id]

"""Finds every id of a streamed reply, also those that the stream held back.

llama.cpp's stream holds back the ids of incomplete characters: a chunk then stands for more
tokens than it names. Such a chunk's text is tokenised again and taken if the count and the last
id agree; otherwise the ids are read from the engine's saved state, if the caller can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from palaver.core.engine import Token, Tokenizer

Cached = Callable[[], Awaitable[list[int] | None]]


class ReplyIds:
    """Collects a reply's chunks; `resolve` gives its ids."""

    def __init__(self) -> None:
        self._chunks: list[tuple[str, tuple[int, ...], int]] = []
        self.count = 0

    def add(self, token: Token) -> None:
        """Take the next chunk in order."""
        grown = token.count - self.count
        if grown > 0 or token.text:
            self._chunks.append((token.text, token.ids, max(grown, 0)))
            self.count = max(self.count, token.count)

    async def resolve(
        self, prompt: list[int], tokenizer: Tokenizer, cached: Cached
    ) -> tuple[list[int], bool]:
        """Return the sampled ids and whether all of them are certain."""
        ids: list[int] = []
        exact = True
        for text, known, count in self._chunks:
            if len(known) == count:
                ids += known
                continue
            again = await tokenizer.encode(text, special=True)
            if len(again) == count and (not known or again[-1] == known[-1]):
                ids += again
            else:
                ids += again
                exact = False
        return (ids, True) if exact else await self._from_cache(prompt, ids, cached)

    async def _from_cache(
        self, prompt: list[int], guessed: list[int], cached: Cached
    ) -> tuple[list[int], bool]:
        held = await cached()
        start = len(prompt)
        if not held or held[:start] != prompt:
            return guessed, False
        sampled = held[start:]
        if len(sampled) == self.count - 1:
            # The last one was never decoded; where it began a character, nobody saw it either.
            return [*sampled, *self._chunks[-1][1][-1:]], True
        if len(sampled) >= self.count:
            return sampled[: self.count], True
        return guessed, False

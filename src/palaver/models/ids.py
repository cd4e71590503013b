"""Finds every id of a streamed reply, also those that the stream held back.

llama.cpp's stream holds back the ids of incomplete characters: a chunk then stands for more
tokens than it names. Such a chunk's text is tokenised again and taken if the count and the last
id agree; otherwise the ids are read from the engine's saved state, if the caller can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from palaver.core.engine import Token, Tokenizer

Cached = Callable[[], Awaitable[list[int] | None]]


class Sampled(Struct, frozen=True):
    """The ids of a reply as far as they spell its text, and all that the engine read after it.

    `exact` is False where some are guessed. `read` is what stands in the engine's cache behind
    the prompt: the last sampled id never does.
    """

    ids: list[int]
    exact: bool
    read: list[int]


class ReplyIds:
    """Collects a reply's chunks; `resolve` gives its ids."""

    def __init__(self) -> None:
        """Begin with no chunk."""
        self._chunks: list[tuple[str, tuple[int, ...], int]] = []
        self.count = 0

    def add(self, token: Token) -> None:
        """Take the next chunk in order."""
        grown = token.count - self.count
        if grown > 0 or token.text:
            self._chunks.append((token.text, token.ids, max(grown, 0)))
            self.count = max(self.count, token.count)

    async def resolve(
        self, prompt: list[int], tokenizer: Tokenizer, cached: Cached, *, stops: bool = False
    ) -> Sampled:
        """Find the sampled ids; `stops` says that a stop string may have cut the text."""
        ids: list[int] = []
        exact = True
        for text, known, count in self._chunks:
            again = known if len(known) == count else await tokenizer.encode(text, special=True)
            ids += again
            fits = len(again) == count and (not known or again[-1] == known[-1])
            exact = exact and fits
        if not exact:
            ids, exact = await self._from_cache(prompt, ids, cached)
        if not exact:
            return Sampled(ids, False, [])
        read = ids[: self.count - 1]
        ended = await self._ended(ids, tokenizer)
        if not ended:
            # Ids behind the text: a stop string's, or the beginning of a character cut in two.
            # They were sampled, but nobody saw what they say; what goes on begins before them.
            ids = ids[: self._spelled()]
            exact = not stops or await self._spells_last(ids, tokenizer)
        return Sampled(ids, exact, read)

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

    async def _ended(self, ids: list[int], tokenizer: Tokenizer) -> bool:
        if len(ids) < self.count or not self._chunks or self._chunks[-1][0]:
            return False
        return await tokenizer.decode(ids[-1:]) in tokenizer.eog

    def _spelled(self) -> int:
        """Return how many tokens had been sampled at the last chunk with text."""
        total = spelled = 0
        for text, _, count in self._chunks:
            total += count
            spelled = total if text else spelled
        return spelled

    async def _spells_last(self, ids: list[int], tokenizer: Tokenizer) -> bool:
        """Say whether the last chunk's ids spell its text: a stop string may have cut a token."""
        text, count = next(((t, n) for t, _, n in reversed(self._chunks) if t), ("", 0))
        if not count:
            return not text
        said = await tokenizer.decode(ids[-count:])
        return said in (text, text.lstrip(" "))  # some tokenizers drop a first blank

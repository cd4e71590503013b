"""Finds control-token texts in a text; overlapping ones too."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator


class ControlTokens:
    """The texts of a model's control tokens, made ready for looking them up."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Empty texts are left out."""
        self.texts = frozenset(text for text in texts if text)
        self.edges = frozenset(c for text in self.texts for c in (text[0], text[-1]))
        heads: dict[str, set[int]] = defaultdict(set)
        for text in self.texts:
            heads[text[:2]].add(len(text))
        self._sizes = {head: sorted(sizes, reverse=True) for head, sizes in heads.items()}
        firsts = "".join(re.escape(c) for c in sorted({text[0] for text in self.texts}))
        self._first = re.compile(f"[{firsts}]" if firsts else r"(?!)")
        self._heads = frozenset(text[:n] for text in self.texts for n in range(1, len(text)))
        self._tails = frozenset(text[n:] for text in self.texts for n in range(1, len(text)))
        self._longest = max(map(len, self.texts), default=0)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the range of every occurrence: by start, at one start the longest first."""
        for found in self._first.finditer(text):
            at = found.start()
            for head in dict.fromkeys((text[at : at + 2], text[at])):
                for size in self._sizes.get(head, ()):
                    if text[at : at + size] in self.texts:
                        yield at, at + size

    def begins(self, text: str) -> bool:
        """Say whether `text` ends with a proper beginning of a token."""
        return any(text[-n:] in self._heads for n in range(1, min(self._longest, len(text)) + 1))

    def ends(self, text: str) -> bool:
        """Say whether `text` begins with a proper ending of a token."""
        return any(text[:n] in self._tails for n in range(1, min(self._longest, len(text)) + 1))

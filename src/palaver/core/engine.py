"""Protocols of token engines and tokenizers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from palaver.core.generation import Sampling, Timings


class EngineInfo(Struct, frozen=True):
    """What an engine is and can do.

    `context` is the largest number of tokens in the cache. `fingerprint` names engine build,
    model file, adapters and KV types: saved states of another fingerprint are of no use here.
    `cut_back` is False where the cache can't be cut at any place (sliding window, recurrent).
    """

    name: str
    model: str
    context: int
    fingerprint: str
    threads: int
    cut_back: bool
    kv_bytes_per_token: int


class Token(Struct, frozen=True):
    """Something an engine said.

    A chunk of text with the ids it stands for (`ids` is empty while unknown), or progress in
    the prompt (`prefill` = done, total, reused), or the end (`stop`, with `timings`).
    `logprobs` is the engine's list for these ids where it was asked for.
    """

    text: str = ""
    ids: tuple[int, ...] = ()
    prefill: tuple[int, int, int] | None = None
    stop: str | None = None  # "end" | "length"
    timings: Timings | None = None
    exact: bool = True
    logprobs: tuple[dict[str, object], ...] = ()


class Tokenizer(Protocol):
    """The model's own tokenizer."""

    control: frozenset[str]  # texts that become one control token when special=True

    async def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of `text`; with `special` control-token texts become their token.

        No beginning-of-sequence token is added.
        """

    async def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, control tokens included."""


class Engine(Protocol):
    """Prompt ids in, tokens out. The whole prompt each time; reuse is the engine's business."""

    info: EngineInfo
    tokenizer: Tokenizer

    def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncIterator[Token]:
        """Generate after `prompt`; the last Token has `stop`. Closing the iterator cancels.

        Raises EngineError (`died` where the process is gone) and UserError for bad settings.
        """

    async def save(self, path: Path) -> int:
        """Write the cache's state to `path` (temporary name, then rename); return its bytes."""

    async def restore(self, path: Path) -> int:
        """Read a state back; return how many tokens it holds."""

    async def close(self) -> None:
        """End the engine's process; safe to call twice."""

"""Protocols of token engines and tokenizers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from palaver.core.generation import Sampling, Timings


class EngineInfo(Struct, frozen=True):
    """What an engine is and can do.

    `context` is the largest number of tokens in the cache. `fingerprint` names engine build,
    model file, adapters and KV types: saved states of another fingerprint are of no use here.
    `cut_back` is False where the cache can't be cut at any place (sliding window, recurrent);
    `window` is then the tokens that windowed layers keep, 0 for a recurrent model. `grammars`: it
    can hold calls to one that a token wakes. `marks`: where it can't be cut back it keeps copies
    of its cache, as llama.cpp does (see `palaver.models.cache`). `sampling` is what the model
    itself asks for, by the names of `Sampling`; None where that is a server's business.
    `guidance`: a grammar may be one of llguidance's, too.
    """

    name: str
    model: str
    context: int
    fingerprint: str
    threads: int
    cut_back: bool
    kv_bytes_per_token: int
    weights_bytes: int
    window: int = 0
    grammars: bool = False
    marks: bool = True
    sampling: dict[str, float] | None = None
    guidance: bool = False


class Token(Struct, frozen=True):
    """Something an engine said.

    A chunk of text, or progress in the prompt (`prefill` = done, total, reused), or the end
    (`stop`, with `timings`). `count` tokens were sampled up to and with this chunk; where it
    grew by more than `ids` holds, the ids of an incomplete character were held back and
    `palaver.models.ids` finds them. `logprobs` is the engine's list for these ids.
    """

    text: str = ""
    ids: tuple[int, ...] = ()
    count: int = 0
    prefill: tuple[int, int, int] | None = None
    stop: str | None = None  # "end" | "length" | "cancelled"
    timings: Timings | None = None
    logprobs: tuple[dict[str, object], ...] = ()


class Tokenizer(Protocol):
    """The model's own tokenizer."""

    control: frozenset[str]  # texts that become one control token when special=True
    eog: frozenset[str]  # those of them that end a reply
    bos: str
    bos_id: int | None  # None where the model's prompts do not begin with it

    async def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of `text`; with `special` control-token texts become their token.

        No beginning-of-sequence token is added.
        """

    async def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, control tokens included."""


class Engine(Protocol):
    """Prompt ids in, tokens out. The whole prompt each time; reuse is the engine's business."""

    tokenizer: Tokenizer

    @property
    def info(self) -> EngineInfo:
        """What it is; a restart may change it."""

    @property
    def parallel(self) -> int:
        """How many generations may be under way at a time."""

    def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Token]:
        """Generate after `prompt`; the last Token has `stop` and `timings`. Closing it cancels.

        Raises EngineError (`died` where the process is gone) and UserError for bad settings.
        """

    def cancel(self) -> None:
        """End the generation under way; its iterator then yields a last Token, "cancelled"."""

    async def save(self, path: Path) -> int:
        """Write the cache's state to `path` (temporary name, then rename); return its bytes."""

    async def restore(self, path: Path) -> int:
        """Read a state back; return how many tokens it holds."""

    def prefill(self, prompt: Sequence[int]) -> AsyncGenerator[Token]:
        """Read `prompt` into the cache without answering; closing the iterator ends it."""

    @property
    def alive(self) -> bool:
        """Whether the engine's process runs."""

    async def restart(self, threads: int | None = None) -> None:
        """Start the process anew, with an empty cache; `threads` None measures again."""

    def peak_memory(self) -> int | None:
        """Return the most bytes that its processes held so far; None where nobody says."""

    async def better_threads(self) -> int | None:
        """Return the number of threads that would be faster now, None if none would."""

    async def close(self) -> None:
        """End the engine's process; safe to call twice."""

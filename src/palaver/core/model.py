"""What the loop sees of a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from palaver.core.events import Event
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.tool import ToolSpec


class Count(Struct, frozen=True):
    """How many tokens a log takes as a prompt, and in which parts.

    `parts` names each part ("system", "tools", "user 3", "template", ...) and its tokens; they
    sum to `total`. `exact` is False where the model's own tokenizer could not be asked.
    """

    total: int
    context: int
    exact: bool
    parts: tuple[tuple[str, int], ...] = ()


class Cost(Struct, frozen=True):
    """What the next turn costs before it starts: tokens already cached, tokens to read.

    `seconds` is the reading time at the measured speed, None before anything was measured.
    `broke` says what made cached tokens useless, if anything did.
    """

    reused: int
    prefill: int
    seconds: float | None = None
    broke: str | None = None


class Model(Protocol):
    """Anything that turns a log into events."""

    name: str

    def respond(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Answer the log; ends with one MessageDone.

        Raises UserError before anything is generated where the log can't be answered (it does
        not fit), EngineError after the MessageDone of a partial answer where the engine failed.
        """

    def cancel(self) -> None:
        """End the answer under way; its MessageDone says "cancelled" and holds what came."""

    async def count(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> Count:
        """Count the tokens that the log takes as a prompt."""

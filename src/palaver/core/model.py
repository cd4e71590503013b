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
    sum to `total`. `exact` is False where the model's own tokenizer could not be asked, `context`
    None where nobody says how many it may be.
    """

    total: int
    context: int | None
    exact: bool
    parts: tuple[tuple[str, int], ...] = ()


class Cost(Struct, frozen=True):
    """What the next turn costs before it starts: tokens already cached, tokens to read.

    `seconds` is the reading time at the measured speed, None before anything was measured.
    `broke` says what made cached tokens useless, if anything did. `exact` is False where both
    numbers are estimates.
    """

    reused: int
    prefill: int
    seconds: float | None = None
    broke: str | None = None
    exact: bool = True


class ModelInfo(Struct, frozen=True):
    """What answers, for whoever shows it or suits itself to it.

    `engine` is the kind of engine, or the address of an endpoint. `context` is None where nobody
    says, `threads` where they are not ours. `template` says where the form of prompts comes from,
    `replies` how they are read. `tools`: the model knows tools, else they are described to it in
    words. `channels`: it puts what it says under names. `sampling` is what it asks for itself, by
    the names of `Sampling`; None where a server decides.
    """

    model: str
    engine: str
    context: int | None
    template: str
    replies: str
    tools: bool
    threads: int | None = None
    channels: bool = False
    sampling: dict[str, float] | None = None


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


class Opened(Model, Protocol):
    """A model as front ends hold it from its loading to its end.

    One that runs nothing here is always `alive`, has nothing to warm up, to save or to restart.
    """

    effort: str | None  # how long it is to think, where that can be said; may be changed

    @property
    def info(self) -> ModelInfo:
        """What it is; a restart may change it."""

    def carry_on(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Go on with the cut-off reply that the log ends with.

        The MessageDone holds the whole reply, old part and new; deltas are the new part alone.
        Raises UserError before anything else where that can't be done.
        """

    async def cost(self, rows: Sequence[Row], tools: Sequence[ToolSpec], draft: str) -> Cost:
        """Say what sending `draft` would cost."""

    async def warm(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> None:
        """Read what any next message will stand after, while the user types."""

    async def save(self) -> bool:
        """Save what is cached, for a later start; False where there was nothing new to save."""

    @property
    def alive(self) -> bool:
        """Whether it can be asked; one that is not is started again by `restart`."""

    async def restart(self, threads: int | None = None) -> bool:
        """Start its engine anew, with as much of the cache as can be had back.

        False where another number of `threads` would cost more than it brings.
        """

    async def better_threads(self) -> int | None:
        """Return the number of threads that would be faster now, None if none would."""

    async def close(self) -> None:
        """End it; safe to call twice."""

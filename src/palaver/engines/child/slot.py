"""One slot of an engine that has several, as an Engine of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from palaver.core.engine import EngineInfo, Token
from palaver.core.generation import Sampling
from palaver.engines.child.engine import ChildEngine


class Slot:
    """One slot of a `ChildEngine`, as an Engine; ends and restarts are those of all slots."""

    def __init__(self, engine: ChildEngine, number: int) -> None:
        """`number` is below `engine.parallel`."""
        self.parallel = 1
        self._engine = engine
        self._number = number
        self.tokenizer = engine.tokenizer
        self.better_threads = engine.better_threads
        self.restart = engine.restart
        self.close = engine.close

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        return self._engine.info

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._engine.alive

    def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Token]:
        """See `ChildEngine.generate`."""
        return self._engine.generate(prompt, sampling, self._number)

    def cancel(self) -> None:
        """See `ChildEngine.cancel`."""
        self._engine.cancel(self._number)

    def prefill(self, prompt: Sequence[int]) -> AsyncGenerator[Token]:
        """See `ChildEngine.prefill`."""
        return self._engine.prefill(prompt, self._number)

    def peak_memory(self) -> int | None:
        """See `ChildEngine.peak_memory`."""
        return self._engine.peak_memory()

    async def save(self, path: Path) -> int:
        """See `ChildEngine.save`."""
        return await self._engine.save(path, self._number)

    async def restore(self, path: Path) -> int:
        """See `ChildEngine.restore`."""
        return await self._engine.restore(path, self._number)

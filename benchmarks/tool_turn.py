"""How long it takes from a parsed call to the next prefill, the tool's own time taken out.

    python -m benchmarks.tool_turn --turns 40

Target: under 15 ms, median; and only new tokens are read.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.talk import load

from palaver import assemble, demo
from palaver.chat.front import Front
from palaver.chat.run import run_turn
from palaver.config.settings import Settings
from palaver.conversation import Conversation
from palaver.core.events import CallParsed, Event, ToolFinished
from palaver.core.generation import Sampling
from palaver.core.messages import user
from palaver.sessions.background import AsyncStore


class Watched:
    """A model that notes when a call was parsed, and when its engine was asked next."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.parsed: float | None = None
        self.asked: list[float] = []
        generate = model.engine.generate

        def watched(*given: Any) -> Any:
            if self.parsed is not None:
                self.asked.append(time.perf_counter() - self.parsed)
                self.parsed = None
            return generate(*given)

        model.engine.generate = watched
        self.count = model.count

    async def respond(self, *given: Any) -> AsyncIterator[Event]:
        async for event in self._model.respond(*given):
            if isinstance(event, CallParsed):
                self.parsed = time.perf_counter()
            yield event


async def measure(turns: int, folder: Path) -> tuple[list[float], list[int]]:
    """Return the seconds of each call, and how many tokens were read behind each."""
    (folder / "notes.txt").write_text("hello there\n")
    model = await load(folder, model=demo.path(), context=2048)
    watched = Watched(model)
    store = await AsyncStore.open(folder / "palaver.db")
    guard = assemble.open_guard(folder, preset=None, asks=bool, sandboxed=True)
    shop = assemble.workshop(Settings(), model, folder, guard)
    took: list[float] = []
    read: list[int] = []

    def show(events: Sequence[Event]) -> None:
        took.extend(event.seconds for event in events if isinstance(event, ToolFinished))

    for _ in range(turns):
        log = await Conversation.create(store, None, None)
        await log.append(user("read notes.txt"))
        await run_turn(log, watched, shop, Sampling(max_tokens=60, temperature=0.0), Front(show))
        made = [row.generation for row in log.rows if row.generation]
        read.append(made[-1].timings.prefilled)
    await model.close()
    await store.close()
    return [a - b for a, b in zip(watched.asked, took, strict=True)], read


def main() -> None:
    """Measure, print, and fail where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        took, read = asyncio.run(measure(turns, Path(folder)))
    ordered = sorted(took)
    median = statistics.median(took) * 1e3
    p90, most = ordered[len(took) * 9 // 10] * 1e3, ordered[-1] * 1e3
    print(f"{len(took)} calls: median {median:.1f} ms, p90 {p90:.1f} ms, most {most:.1f} ms;")
    print(f"{min(read)} to {max(read)} tokens read behind each")
    sys.exit(0 if median < 15 and max(read) < 30 else 1)


if __name__ == "__main__":
    main()

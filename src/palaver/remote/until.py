"""An iteration that somebody else may end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def until(source: AsyncGenerator[T], stop: asyncio.Event) -> AsyncGenerator[T]:
    """Yield what `source` has until it ends or `stop` is set, also while nothing comes."""
    halt = asyncio.ensure_future(stop.wait())
    step: asyncio.Future[T] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(source))
            await asyncio.wait({step, halt}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                return
            try:
                yield step.result()
            except StopAsyncIteration:
                return
    finally:
        halt.cancel()
        if step and not step.done():
            step.cancel()
        await asyncio.gather(halt, *([step] if step else []), return_exceptions=True)
        await source.aclose()

"""When a request is sent again, and after how long."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator

from msgspec import Struct

from palaver.core.errors import EngineError
from palaver.core.events import Waiting
from palaver.remote.errors import RefusedError, UnreachableError


class Patience(Struct, frozen=True):
    """How often a request is sent, and the seconds between: `first`, then twice that, and so on.

    A server that asks for a longer wait than `longest` is not waited for.
    """

    tries: int = 5
    first: float = 1.0
    most: float = 30.0
    longest: float = 300.0

    def pause(self, error: EngineError, tried: int) -> float | None:
        """Return the seconds to wait after `tried` tries ended in `error`; None: give up."""
        passes = isinstance(error, RefusedError | UnreachableError) and error.passes
        if not passes or tried >= self.tries:
            return None
        asked = error.wait if isinstance(error, RefusedError) else None
        if asked is not None:
            return asked + random.uniform(0, 0.1 * asked) if asked <= self.longest else None
        return min(self.first * 2.0 ** (tried - 1), self.most) * random.uniform(0.5, 1)


async def countdown(why: str, seconds: float) -> AsyncGenerator[Waiting]:
    """Wait, saying every second how long still; a last one says that it is over."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield Waiting(why, math.ceil(left))
        await asyncio.sleep(left - math.ceil(left) + 1)
    yield Waiting(why, 0)

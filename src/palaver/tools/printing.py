"""What a function of the user's prints is its output, not text in the middle of the screen."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_EMIT: ContextVar[Callable[[str], None] | None] = ContextVar("emit", default=None)
_STREAMS = ("stdout", "stderr")
_lock = threading.Lock()
_used = 0


class _Routed:
    """Stands for a stream of the program: what a tool writes goes to who shows it."""

    def __init__(self, below: Any) -> None:
        self.below = below

    def write(self, text: str) -> int:
        emit = _EMIT.get()
        if emit is None:
            return int(self.below.write(text))
        emit(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


@contextmanager
def printing(emit: Callable[[str], None]) -> Iterator[None]:
    """Give `emit` what this thread or task writes to sys.stdout and sys.stderr meanwhile.

    What others write at that time goes where it went before.
    """
    global _used  # noqa: PLW0603 - the streams are the program's, too
    with _lock:
        _used += 1
        for name in _STREAMS:
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _Routed):
                setattr(sys, name, _Routed(stream))
    token = _EMIT.set(emit)
    try:
        yield
    finally:
        _EMIT.reset(token)
        with _lock:
            _used -= 1
            for name in _STREAMS if not _used else ():
                stream = getattr(sys, name)
                if isinstance(stream, _Routed):
                    setattr(sys, name, stream.below)

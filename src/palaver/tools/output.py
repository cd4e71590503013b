"""Output of a program while it comes: shown, kept up to a cap, the middle dropped beyond it."""

from __future__ import annotations

import codecs
from collections.abc import Callable

MOST = 1 << 20  # bytes kept of one run


class Output:
    """Keeps the first and the last half of `most` bytes, whatever comes."""

    def __init__(self, emit: Callable[[str], None], most: int = MOST) -> None:
        """`emit` is given the text of what comes, until `most` bytes have come."""
        self._emit = emit
        self._half = most // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._shown = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, data: bytes) -> None:
        """Take what a program has written."""
        room = 2 * self._half - self._shown
        if room > 0:
            if text := self._decoder.decode(data[:room]):
                self._emit(text)
            self._shown += len(data)
            if self._shown >= 2 * self._half:
                self._emit("\n[more came, not shown]\n")
        free = self._half - len(self._head)
        self._head += data[:free]
        self._tail += data[free:] if free > 0 else data
        if len(self._tail) > 2 * self._half:
            self._drop()

    def _drop(self) -> None:
        over = max(0, len(self._tail) - self._half)
        del self._tail[:over]
        self._dropped += over

    def text(self) -> str:
        """Return what is kept as text; where something was dropped it says how much."""
        self._drop()
        if not self._dropped:
            return bytes(self._head + self._tail).decode("utf-8", "replace")
        head, tail = (bytes(part).decode("utf-8", "replace") for part in (self._head, self._tail))
        return f"{head}\n[{self._dropped} bytes left out]\n{tail}"

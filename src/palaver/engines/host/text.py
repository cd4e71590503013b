"""A reply's text as it may be shown: characters whole, stop texts never, not even their begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct


class Piece(Struct, frozen=True):
    """Text that is settled, the ids that it was made of, and the stop text that ended it."""

    text: str
    ids: list[int]
    stopped: str = ""


class Outlet:
    """Takes sampled ids, gives text; what might begin a stop text waits, its ids with it."""

    def __init__(self, step: Callable[[int], str], stops: Sequence[str]) -> None:
        """`step` turns ids into text (`Vocabulary.stream`)."""
        self._step = step
        self._stops = [stop for stop in stops if stop]
        self._text = ""
        self._ids: list[int] = []

    def add(self, token: int) -> Piece:
        """Take the next id; return what is settled now, often nothing."""
        said = self._step(token)
        self._ids.append(token)
        if not said:
            return Piece("", [])
        self._text += said
        found = [(at, stop) for stop in self._stops if (at := self._text.find(stop)) >= 0]
        if found:
            at, stop = min(found, key=lambda one: (one[0], -len(one[1])))
            return self._release(at, stop)
        if any(self._ends_within(stop) for stop in self._stops):
            return Piece("", [])
        return self._release(len(self._text))

    def finish(self) -> Piece:
        """Return what waited, at the reply's end."""
        return self._release(len(self._text))

    def _ends_within(self, stop: str) -> bool:
        return any(self._text.endswith(stop[:n]) for n in range(len(stop) - 1, 0, -1))

    def _release(self, length: int, stopped: str = "") -> Piece:
        piece = Piece(self._text[:length], self._ids, stopped)
        self._text, self._ids = "", []
        return piece

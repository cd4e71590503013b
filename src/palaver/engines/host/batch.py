"""Several prompts completed side by side: one step of the model for all that still go on.

The prompts' caches are their own and end with the batch; what the slot holds stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from palaver.engines.host.model import HostedModel
from palaver.engines.host.sampling import Sampler
from palaver.engines.host.slot import Chunk, Request, Slot, Stop, Timings
from palaver.engines.host.text import Outlet

_ROWS = 16  # most prompts at a time; each has a cache of its own


class Rows(Protocol):
    """Prompts that a model has read side by side."""

    logits: Any  # float32 (rows, vocabulary), each row's last position

    def step(self, ids: Sequence[int], keep: Sequence[int]) -> None:
        """Go on with the rows `keep`, each by its one id of `ids`; the others end."""


@runtime_checkable
class Batching(Protocol):
    """A hosted model that can also run several sequences at a time."""

    def read(self, prompts: Sequence[Sequence[int]]) -> Rows:
        """Read prompts side by side, apart from the cache that `HostedModel.forward` uses."""


class Done(Struct, omit_defaults=True):
    """One prompt's whole reply, as an event."""

    index: int
    content: str
    tokens: list[int]
    stop_type: str
    timings: Timings


class _Reply:
    """One prompt's reply while it grows."""

    def __init__(self, index: int, request: Request, model: HostedModel) -> None:
        self.index = index
        self.times = Timings(prompt_n=len(request.prompt))
        self.last = list(request.prompt)
        self._sampler = Sampler(request.chosen, request.held)
        self._outlet = Outlet(model.vocabulary.stream(request.prompt), request.stops)
        room = model.file.context - len(request.prompt)
        self._most = room if request.most is None else min(room, request.most)
        self._ends = model.ends
        self._text = ""
        self._ids: list[int] = []

    def take(self, logits: Any) -> Done | None:
        """Sample a token; return the reply where it is over."""
        if self.times.predicted_n >= self._most:
            return self._done("limit")
        token = self._sampler.pick(logits, self.last)
        self.last.append(token)
        self._ids.append(token)
        self.times.predicted_n += 1
        if token in self._ends:
            return self._done("eos")
        piece = self._outlet.add(token)
        self._text += piece.text
        if piece.stopped:
            return self._done("word")
        return self._done("limit") if self.times.predicted_n >= self._most else None

    def _done(self, kind: str) -> Done:
        if kind != "word":
            self._text += self._outlet.finish().text
        return Done(self.index, self._text, self._ids, kind, self.times)


def run(slot: Slot, requests: Sequence[Request], emit: Callable[[Done], None], stop: Stop) -> None:
    """Complete all; emits each reply when it is over, in whatever order."""
    model = slot.model
    if not isinstance(model, Batching) or not model.file.cut_back:
        _one_by_one(slot, requests, emit, stop)
        return
    # Alike in length: what is read is as long as the longest.
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt))
    for start in range(0, len(order), _ROWS):
        if not stop.asked:
            replies = [_Reply(i, requests[i], model) for i in order[start : start + _ROWS]]
            _side_by_side(model, replies, emit, stop)


def _side_by_side(
    model: Batching, replies: list[_Reply], emit: Callable[[Done], None], stop: Stop
) -> None:
    began = time.perf_counter()
    rows = model.read([reply.last for reply in replies])
    read = time.perf_counter()
    while replies and not stop.asked:
        keep: list[int] = []
        for at, reply in enumerate(replies):
            done = reply.take(rows.logits[at])
            if done is None:
                keep.append(at)
                continue
            done.timings.prompt_ms = 1e3 * (read - began)
            done.timings.predicted_ms = 1e3 * (time.perf_counter() - read)
            emit(done)
        replies = [replies[at] for at in keep]
        if replies:
            rows.step([reply.last[-1] for reply in replies], keep)


def _one_by_one(
    slot: Slot, requests: Sequence[Request], emit: Callable[[Done], None], stop: Stop
) -> None:
    for index, request in enumerate(requests):
        chunks: list[Chunk] = []
        slot.reply(request, chunks.append, stop)
        if stop.asked:
            return
        text = "".join(chunk.content for chunk in chunks)
        ids = [i for chunk in chunks for i in chunk.tokens]
        last = chunks[-1]
        emit(Done(index, text, ids, last.stop_type or "", last.timings or Timings()))

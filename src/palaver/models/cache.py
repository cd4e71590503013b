"""What an engine's cache holds, and how it is filled without reading anything twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from msgspec import Struct

from palaver.core.engine import Engine
from palaver.core.errors import EngineError
from palaver.models.kv import State, States, common_prefix, serves

_WORTH = 32  # tokens; fewer are read faster than a saved state is
_MUCH = 256  # tokens; more are not given up for a faster engine
_LARGEST_PEEK = 1 << 29  # bytes of state worth writing only to learn the ids of one reply
# llama.cpp keeps a copy of a cache that can't be cut back, 4 tokens before the end of each
# prompt (create_checkpoint in tools/server/server-context.cpp, b11549). With a sliding window it
# goes on one or two tokens before that copy's end, and does so, too, where it could go on from
# the cache's own end but that is still within the window.
_MARK_BEFORE_END = 4
_WINDOW_MARK_BEFORE_END = 6
_MARKS = 3  # it keeps 8 copies (memory.CHECKPOINTS in engines/llama_cpp) and makes two a prompt


class Reuse(Struct, frozen=True):
    """How many tokens of a prompt need not be read, and how many were read in vain.

    `tokens` is a lower bound where a cache can't be cut back; `lost` were read before and would
    be of use if it could.
    """

    tokens: int
    lost: int = 0


class Held(Struct, frozen=True):
    """What an engine's cache holds.

    `whole` is False where it may hold more than `ids` (an answer was cut off). `marks` are the
    places that a cache which can't be cut back can be taken back to.
    """

    ids: list[int]
    whole: bool = True
    marks: tuple[int, ...] = ()


class Cache:
    """Keeps book of one engine's cache. `busy` is held by whoever makes the engine work."""

    def __init__(self, engine: Engine, states: States) -> None:
        """`engine`'s cache is empty."""
        self.engine = engine
        self.busy = asyncio.Lock()
        self._held = Held([])
        self.states = states
        self._warming: asyncio.Task[None] | None = None
        self._cool = False

    @property
    def held(self) -> list[int]:
        """The ids that the engine's cache holds, as far as they are known."""
        return self._held.ids

    # -- what can be reused --------------------------------------------------------------

    def in_slot(self, ids: Sequence[int]) -> int:
        """Return how many of `ids` the engine's cache itself can serve."""
        held = self._held
        info = self.engine.info
        common = common_prefix(held.ids, list(ids))
        whole = held.whole and (not info.window or common > info.window)
        return serves(
            len(ids), common, len(held.ids), held.marks, cut_back=info.cut_back, whole=whole
        )

    def reusable(self, ids: Sequence[int]) -> Reuse:
        """Return how many of `ids` need not be read: cached, or saved on disk.

        The last one is always read, because its output is what the next token comes from.
        """
        tokens = self.in_slot(ids)
        wanted = list(ids)
        common = common_prefix(self._held.ids, wanted)
        if state := self._best(wanted, tokens + _WORTH):
            tokens, common = state.serves, max(common, state.common)
        most = max(len(ids) - 1, 0)
        return Reuse(min(tokens, most), max(min(common, most) - tokens, 0))

    def _best(self, ids: Sequence[int], more_than: int) -> State | None:
        info = self.engine.info
        # A restored window is one token too short to go on from its end.
        return self.states.best(ids, more_than, cut_back=info.cut_back, whole=not info.window)

    # -- book-keeping --------------------------------------------------------------------

    def answered(
        self, prompt: Sequence[int], sampled: Sequence[int], reused: int, *, whole: bool
    ) -> None:
        """Note that the engine has read `prompt` and then `sampled`; `reused` was there before."""
        marks = [mark for mark in self._held.marks if mark <= reused]
        window = self.engine.info.window
        mark = len(prompt) - (_WINDOW_MARK_BEFORE_END if window else _MARK_BEFORE_END)
        if mark > reused and self.engine.info.marks:
            marks.append(mark)
        self._held = Held([*prompt, *sampled], whole, tuple(marks[-_MARKS:]))

    def broken_off(self, prompt: Sequence[int], read: int) -> None:
        """Note that reading `prompt` ended early, after `read` tokens or a few more."""
        common = common_prefix(self._held.ids, list(prompt))
        marks = tuple(mark for mark in self._held.marks if mark <= min(common, read))
        self._held = Held(list(prompt[:read]), False, marks)

    def forget(self) -> None:
        """Note that nothing is known of the engine's cache: it died, or was started anew."""
        self._held = Held([])

    # -- saving and restoring ------------------------------------------------------------

    async def restore(self, ids: Sequence[int]) -> None:
        """Restore the saved state that serves more of `ids` than the cache, if one does."""
        state = self._best(ids, self.in_slot(ids) + _WORTH)
        if state is None:
            return
        if self.states.read(state.path) != state.ids:  # changed since it was looked at
            self.states.discard(state.path)
            return
        try:
            count = await self.engine.restore(state.path)
        except EngineError as error:
            self.forget()
            self.states.discard(state.path)  # it would be refused, or kill, again
            if error.died:
                raise
            return  # a state is a cache: reading the tokens again is always right
        if count != len(state.ids):
            self.forget()
            return
        marks = (state.mark,) if state.mark else ()
        self._held = Held(state.ids, not self.engine.info.window, marks)
        self.states.touch(state.path)

    async def save(self) -> bool:
        """Save what the cache holds, unless it is saved or too short; return whether it was."""
        async with self.busy:
            return await self._save()

    async def _save(self) -> bool:
        held = self.held
        size = len(held) * self.engine.info.kv_bytes_per_token
        if len(held) < _WORTH or not self.states.may_keep(size) or self.states.has(held):
            return False
        scratch = self.states.scratch()
        try:
            written = await self.engine.save(scratch)
            if scratch.stat().st_size != written:  # the disk is full
                scratch.unlink()
                return False
            return self.states.keep(scratch, max(self._held.marks, default=0))
        except (EngineError, OSError):
            scratch.unlink(missing_ok=True)
            raise

    async def peek(self, tokens: int) -> list[int] | None:
        """Return the ids that the engine itself says its cache holds, about `tokens`; or None.

        It writes a state to tell them: not where that is too large, or nothing may be written.
        """
        size = tokens * self.engine.info.kv_bytes_per_token
        if size > _LARGEST_PEEK or not self.states.may_keep(size):
            return None
        scratch = self.states.scratch()
        try:
            await self.engine.save(scratch)
            ids = self.states.read(scratch)
        except (EngineError, OSError):
            return None
        finally:
            scratch.unlink(missing_ok=True)
        return ids

    async def restart(self, threads: int | None = None) -> bool:
        """Start the engine anew and bring back the best saved state of what it held.

        With another number of `threads` that is done only where what is cached can be carried
        over: returns False where reading it again would cost more than the threads bring.
        """
        async with self.busy:  # all along: what an answer adds in between would be forgotten
            if threads is not None and self.engine.alive:
                saved = await self._save() or self.states.has(self.held)
                if not saved and len(self.held) >= _MUCH:
                    return False
            wanted = self.held
            self.forget()
            await self.engine.restart(threads)
            await self.restore([*wanted, 0])  # 0 stands for whatever comes next
        return True

    # -- warming up ----------------------------------------------------------------------

    async def warm(self, head: Sequence[int]) -> None:
        """Bring `head` into the cache: restore what is saved, read the rest; an answer ends it."""
        if self._warming and not self._warming.done():
            return
        self._cool = False
        self._warming = asyncio.create_task(self._warm(list(head)))
        await asyncio.wait([self._warming])

    async def _warm(self, head: list[int]) -> None:
        async with self.busy:
            if self._cool:  # while it waited
                return
            if len(self.held) > len(head) and not self.states.has(self.held):
                return  # what a longer conversation needs is not given up for a guess
            with contextlib.suppress(EngineError):  # the answer itself will meet it, and say so
                await self.restore(head)
                if self._cool or len(head) - self.in_slot(head) < 2:
                    return
                await self._read(head)

    async def _read(self, head: list[int]) -> None:
        reused = read = 0
        over = False
        try:
            async with contextlib.aclosing(self.engine.prefill(head)) as tokens:
                async for token in tokens:
                    if token.prefill:
                        read, _, reused = token.prefill
                    over = over or (token.stop is not None and token.stop != "cancelled")
        finally:
            if over:
                self.answered(head, (), reused, whole=True)
            else:
                self.broken_off(head, read)

    async def stop_warming(self) -> None:
        """End a warm-up under way; what it has read stays cached."""
        if self._warming and not self._warming.done():
            self._cool = True
            self.engine.cancel()
            await asyncio.wait([self._warming])
        self._warming = None

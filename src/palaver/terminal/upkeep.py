"""What is done for a chat between turns: its engine started again, its threads, its states."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from palaver.core.errors import PalaverError
from palaver.core.model import Opened
from palaver.sessions.store import Store

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller

STARTING = "starting the engine"
_SETTLED = 1.0  # seconds after an answer before anything is done behind the prompt
_IDLE = 8.0  # seconds more before the cache's state is written to disk


class Upkeep:
    """Minds one chat's engine and store. Nothing that fails here ends the chat."""

    def __init__(self, chat: Controller) -> None:
        self._chat = chat
        self._idle: asyncio.Task[None] | None = None
        self._reviving: asyncio.Task[bool] | None = None
        self._saving: asyncio.Task[None] | None = None  # held: asyncio itself would drop it

    # -- the engine ----------------------------------------------------------------------

    @property
    def _starting(self) -> bool:
        return self._reviving is not None and not self._reviving.done()

    @property
    def engine_state(self) -> str:
        """What an engine is doing that does not work."""
        return STARTING if self._starting else "the engine ended; a turn starts it"

    def works(self, model: Opened) -> bool:
        """Say whether the engine can be asked something."""
        return model.alive and not self._starting

    def mind(self) -> None:
        """See whether the engine died between two turns: what it held is lost then."""
        chat = self._chat
        known = chat.forecast.cost is not None and not chat.busy
        if known and chat.model and not self.works(chat.model):
            chat.forecast.forget()
            chat.screen.changed()

    async def revive(self, model: Opened, threads: int | None = None) -> bool:
        """Start the engine again; who stops waiting does not stop that. Raises what it raised."""
        if self._reviving is None or self._reviving.done():
            self._chat.forecast.forget()
            self._reviving = asyncio.create_task(model.restart(threads))
            self._reviving.add_done_callback(self._revived)
        return await asyncio.shield(self._reviving)

    def _revived(self, task: asyncio.Task[bool]) -> None:
        if not task.cancelled():
            task.exception()  # where nobody waits any more, the next turn tries again
        self._chat.forecast.forget()
        self._chat.screen.changed()

    async def end(self) -> None:
        """End what is under way, before the engine is ended."""
        await self.settle()
        if self._reviving and self._starting:
            self._reviving.cancel()
            with suppress(asyncio.CancelledError, PalaverError):
                await self._reviving
        self._reviving = None

    # -- between turns -------------------------------------------------------------------

    def begin(self) -> None:
        """Do in a while what is worth doing while the user reads."""
        self._idle = asyncio.create_task(self._tend())

    async def settle(self) -> None:
        """End what is done between turns, or wait for what can't be ended."""
        if self._idle and not self._idle.done():
            self._idle.cancel()
            with suppress(asyncio.CancelledError):
                await self._idle
        self._idle = None

    async def _tend(self) -> None:
        """Mind the threads, tidy the store, save the engine's state."""
        await asyncio.sleep(_SETTLED)
        # What fails here (a full disk, a dead engine) the next turn meets and tells of.
        with suppress(PalaverError, OSError):
            await self._mind_threads()
        with suppress(PalaverError, OSError):
            await self._chat.conversation.store.run(Store.tidy)
        await asyncio.sleep(_IDLE)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save())
        await asyncio.shield(self._saving)  # a turn that comes meanwhile waits for the cache

    async def _mind_threads(self) -> None:
        model = self._chat.model
        if model and self.works(model):
            threads = await model.better_threads()
            if threads is not None:
                await self.revive(model, threads)

    async def _save(self) -> None:
        chat = self._chat
        if chat.model and self.works(chat.model) and not chat.flags.get("no_save"):
            with suppress(PalaverError, OSError):
                await chat.model.save()

"""The model of a chat: loaded behind the prompt, waited for where it is needed, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING

from palaver import assemble
from palaver.core.errors import EngineError, PalaverError, UserError
from palaver.core.model import Opened
from palaver.engines.child.process import Child
from palaver.launch import runs_here

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller

LOADING = "loading the model"
ASKING = "waiting for the server"


class Loading:
    """Holds one chat's model; `model` is None while there is none."""

    def __init__(self, chat: Controller) -> None:
        self.model: Opened | None = None
        self._chat = chat
        self._task: asyncio.Task[Opened] | None = None
        self._progress = LOADING
        self._awaited = 0
        self._ending: Opened | None = None
        self._hurried: asyncio.Task[None] | None = None  # held: asyncio itself would drop it

    @property
    def state(self) -> str:
        """What the model does, where it can't answer yet."""
        if self.model is not None:
            return "ready"
        failed = self._task is not None and self._task.done()
        return "no model: /model NAME loads one" if failed else self._progress

    @property
    def first(self) -> str:
        """What is waited for where nothing more is known."""
        return LOADING if runs_here(self._chat.settings) else ASKING

    def begin(self, starting: Awaitable[Child | None] | None = None) -> None:
        """Begin to load what the settings name; `starting` is its process, if there is one."""
        chat = self._chat
        self.model = None
        self._progress = self.first
        model = assemble.open_model(
            chat.settings,
            started=chat.conversation.began,
            starting=starting,
            keep_states=not chat.flags.get("no_save"),
            progress=self._progressed,
            raw=bool(chat.flags.get("raw")),
        )
        self._task = asyncio.create_task(model)
        self._task.add_done_callback(self._loaded)

    def _progressed(self, text: str) -> None:
        self._progress = text
        self._chat.screen.changed()

    def _loaded(self, task: asyncio.Task[Opened]) -> None:
        if task.cancelled() or task is not self._task:
            return
        error = task.exception()
        if error is None:
            self.model = task.result()
        elif not isinstance(error, PalaverError):
            raise error
        elif not self._awaited:  # else it is raised where the model is waited for
            self._chat.screen.error(error)
        self._chat.screen.changed()

    async def ready(self) -> Opened:
        """Wait for the model. Raises what loading raised.

        A server that did not answer is asked anew: it may have been started since.
        """
        if self._task is None:
            raise UserError("no model is loaded", fix="/model NAME loads one")
        self._awaited += 1
        try:
            if self._out_of_reach(self._task):
                self.begin()
            return await asyncio.shield(self._task)
        finally:
            self._awaited -= 1

    def _out_of_reach(self, task: asyncio.Task[Opened]) -> bool:
        """Say whether it was a server of others that failed."""
        failed = task.done() and not task.cancelled() and isinstance(task.exception(), EngineError)
        return failed and not runs_here(self._chat.settings)

    async def end(self) -> None:
        """End the model, or its loading; what is cached is saved."""
        if self._task and not self._task.done():
            self._task.cancel()
            with suppress(asyncio.CancelledError, PalaverError):
                await self._task
        await self._chat.upkeep.end()
        self._ending, self.model = self.model, None
        if self._ending:
            with suppress(EngineError, OSError):
                await self._ending.save()
            await self._ending.close()

    def hurry(self) -> None:
        """End the engine at once, though its state is being saved: it is a cache."""
        if self._ending:
            self._hurried = asyncio.create_task(self._ending.close())

"""What a chat in a terminal can do, whichever way it is painted; commands work on this."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from palaver import assemble
from palaver.chat.decide import Generate, next_step
from palaver.config.settings import Settings
from palaver.conversation import Conversation, Vault, said
from palaver.core.errors import EngineError, PalaverError, UserError
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.core.model import Opened
from palaver.engines.child.process import Child
from palaver.launch import model_name
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store
from palaver.terminal import offers
from palaver.terminal.forecast import Forecast
from palaver.terminal.lines import GO_ON
from palaver.terminal.loading import LOADING, Loading
from palaver.terminal.screen import Screen
from palaver.terminal.tooling import OPEN, Tooling
from palaver.terminal.upkeep import STARTING, Upkeep

T = TypeVar("T")
_CUT = "the last answer had been cut off", f"{GO_ON} with it"


class Controller:
    """One chat: settings, store, session, and the model that is being loaded or is there."""

    def __init__(self, settings: Settings, flags: dict[str, Any], screen: Screen) -> None:
        self.settings = settings
        self.flags = flags
        self.screen = screen
        self.sampling: Sampling = assemble.sampling(settings)
        self.loading = Loading(self)
        self.forecast = Forecast()
        self.busy = False
        self._vault = Vault(keep=not flags.get("no_save"))
        self._store: AsyncStore | None = None
        self._conversation: Conversation | None = None
        self.upkeep = Upkeep(self)
        self._halt = asyncio.Event()
        self._halting: asyncio.Task[None] | None = None
        self.tooling = Tooling(self, self._halt)

    @property
    def opened(self) -> bool:
        """Whether there is a session yet."""
        return self._conversation is not None

    @property
    def conversation(self) -> Conversation:
        """The session that is being written."""
        if self._conversation is None:
            raise UserError("the session store is not open")
        return self._conversation

    @property
    def model(self) -> Opened | None:
        """The model, once it is loaded."""
        return self.loading.model

    async def ready(self) -> Opened:
        """Wait for the model. Raises what loading raised."""
        return await self.loading.ready()

    # -- beginning and end ---------------------------------------------------------------

    async def open(self, starting: Awaitable[Child | None] | None = None) -> None:
        """Open the store and the session, and begin to load the model. Raises StoreError."""
        assemble.signing(self.settings)
        self.tooling.open()
        if self.settings.output:
            from palaver.capture.append import check_writable

            check_writable(Path(self.settings.output).expanduser())
        store = self._store = await AsyncStore.open(self._vault.path)
        if self.flags.get("resume"):
            from palaver.terminal.sessions import number_of

            number = await number_of(store, str(self.flags["resume"]))
            self._conversation, _ = await Conversation.resume(store, number)
        else:
            self._conversation = await Conversation.create(
                store, offers.told(self), model_name(self.settings)
            )
        self.loading.begin(starting)
        if self.flags.get("resume"):
            self.show_resumed()

    def show_resumed(self) -> None:
        """Show where a session that is gone on with stands."""
        from palaver.terminal.sessions import recap

        self.screen.recap(recap(self.conversation.rows))
        self.tooling.recover()
        last = self.conversation.view[-1].entry if self.conversation.view else None
        if isinstance(last, Message) and last.stop == "error":
            self.screen.advise(*_CUT)
        elif self.waits_for_answer():
            self.screen.advise(*self.tooling.unanswered())
        elif self.tooling.waits():
            self.screen.advise(*OPEN)

    async def close(self) -> None:
        """Save what is cached, write the capture, end the engine; nothing is lost by it."""
        await self.settle()
        if self._conversation:
            try:
                await self.capture()
            except PalaverError as error:
                self.screen.error(error)
        await self.loading.end()
        await self.tooling.close()
        if self._store:
            if self._conversation:
                with suppress(PalaverError):  # a full disk: a number is used up
                    await self._store.run(Store.give_back, self._conversation.session)
            await self._store.close()
        self._vault.close()

    # -- turns ---------------------------------------------------------------------------

    async def say(self, text: str) -> None:
        """Say something to the model and show its answer. The text is on disk before that."""
        await self.tooling.leave_open()
        await self.conversation.append(said(self.conversation.rows, text))
        await self.answer()

    async def answer(self, *, again: bool = False) -> None:
        """Let the model answer the log as it stands; `again`: also where a tool was stopped."""
        await self.work(partial(self.tooling.turn, again=again))

    async def carry_on(self) -> None:
        """Go on with the cut-off answer that the log ends with, or answer what was not answered."""
        if self.tooling.waits() or self.waits_for_answer() or self.tooling.stopped():
            await self.answer(again=self.tooling.stopped())
            return
        view = self.conversation.view
        last = view[-1].entry if view else None
        if not isinstance(last, Message) or last.role != "assistant" or last.stop == "end":
            raise UserError("there is no cut-off answer", fix="/retry asks for another one")
        await self.work(partial(self.tooling.carry_on, view=view))

    async def work(self, work: Callable[[Opened], Awaitable[None]]) -> None:
        """Do the model's work with the screen around it; start its engine again if it died."""
        await self.settle()
        before = self._tip()
        failure: EngineError | None = None
        self.busy = True
        self._halt.clear()
        self._begin()
        try:
            model = await self._unless_stopped(self._up())
            if model is not None:
                await work(model)
        except EngineError as error:
            failure = error
        finally:
            self.busy = False
            tip = self._tip()
            self.screen.end(None if tip is before else tip)
        if failure:
            await self._recover(failure)
        elif tip is before:
            what = "stopped" if self._halt.is_set() else "the answer was empty"
            if self.waits_for_answer():
                so, how = self.tooling.unanswered()
                self.screen.advise(f"{what}; {so}", how)
            else:
                self.screen.note(what)
        self.upkeep.begin()

    def _begin(self) -> None:
        """Show what a turn begins with, and how long that is expected to take."""
        expected = self.forecast.expected()
        self.forecast.forget()
        if self.model is None:
            expected = self.loading.first
        elif not self.upkeep.works(self.model):
            expected = STARTING
        self.screen.begin(expected)
        self.screen.changed()

    async def _up(self) -> Opened:
        """Wait for the model, and for its engine if that died between two turns."""
        waited = self.model is None
        model = await self.ready()
        if not self.upkeep.works(model):  # nothing was under way: nothing to tell of
            await self.upkeep.revive(model)
            waited = True
        if waited:
            self.screen.begin("reading")
        return model

    def _tip(self) -> Row | None:
        rows = self.conversation.rows
        return rows[-1] if rows else None

    async def _recover(self, failure: EngineError) -> None:
        """Say what happened to the engine and start it again."""
        self.screen.error(failure)
        model = self.model
        if model and failure.died:
            self.screen.note("starting the engine again")
            self.busy = True
            self._halt.clear()
            self.screen.begin(STARTING)
            try:
                back = await self._unless_stopped(self.upkeep.revive(model))
            except PalaverError as error:
                self.screen.error(error)
                return
            finally:
                self.busy = False
                self.screen.end(None)
            if back:
                self.screen.note("the engine is back")
        if self.waits_for_answer():
            self.screen.advise(*self.tooling.unanswered())

    def stop(self) -> bool:
        """End the answer under way within a token; False if there is none."""
        if not self.busy:
            return False
        self._halt.set()
        if self._halting is None or self._halting.done():
            self._halting = asyncio.create_task(self._cancel())
        return True

    async def _cancel(self) -> None:
        """Cancel until it is over: the engine may not have been asked yet when the user stops."""
        while self.busy and self._halt.is_set():  # not the next turn, begun meanwhile
            if self.model:
                self.model.cancel()
            await asyncio.sleep(0.02)

    async def _unless_stopped(self, work: Awaitable[T]) -> T | None:
        """Wait for something that can't be cancelled by the model; None if the user stops."""
        task, halt = asyncio.ensure_future(work), asyncio.ensure_future(self._halt.wait())
        try:
            await asyncio.wait({task, halt}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            halt.cancel()
            task.cancel()

    # -- between turns -------------------------------------------------------------------

    async def settle(self) -> None:
        """End what is done between turns, or wait for what can't be ended."""
        await self.upkeep.settle()

    async def warm(self) -> None:
        """Bring the conversation into the engine's cache while the user types."""
        if self.model and not self.busy and self._conversation:
            with suppress(PalaverError, OSError):  # what is wrong is said when something is sent
                await self.model.warm(self.conversation.view, self.tooling.specs)

    # -- settings, sessions, capture -----------------------------------------------------

    def set(self, **values: Any) -> None:
        """Change settings of this run. Raises UserError for values that can't be."""
        self.settings = dataclasses.replace(self.settings, **values)
        self.sampling = assemble.sampling(self.settings)

    async def use_model(self, name: str | None, **values: Any) -> None:
        """Load another model, or the same with other settings; the conversation goes on.

        Raises what loading it raised; the one before is loaded again then.
        """
        before = self.settings
        settings = dataclasses.replace(before, model=name, **values)
        await asyncio.to_thread(assemble.check_model, settings)
        await self.settle()
        await self.loading.end()
        self.settings = settings
        self.busy = True
        self._halt.clear()
        self.screen.begin(LOADING)
        try:
            self.loading.begin()
            if await self._unless_stopped(self.ready()) is None:
                raise UserError("loading was stopped")
        except BaseException:
            await self.loading.end()
            self.settings = before
            self.loading.begin()
            self.screen.note("the model before is loaded again")
            raise
        finally:
            self.busy = False
            self.screen.end(None)
        conversation = self.conversation
        await conversation.store.run(Store.set_model, conversation.session, name)

    async def switch(self, conversation: Conversation) -> None:
        """Go on in another session; what the cache holds of this one is saved first."""
        await self.settle()
        old = self.conversation
        if old.session != conversation.session:
            await self.capture()
        if self.model:
            with suppress(EngineError, OSError):
                await self.model.save()
        self._conversation = conversation
        if old.session != conversation.session:
            await old.leave()
        self.screen.changed()

    async def capture(self, path: Path | None = None) -> str | None:
        """Append the session's record to `path`, or to --output; say what was written.

        Done when a conversation is left, so that it stands in the file once, as it ended.
        """
        target = path or (Path(self.settings.output) if self.settings.output else None)
        if target is None:
            return None
        from palaver.capture.output import save_session

        return await save_session(
            self.conversation.store,
            self.conversation.session,
            target.expanduser(),
            signing=assemble.signing(self.settings),
            no_system=bool(self.flags.get("no_system")),
        )

    def waits_for_answer(self) -> bool:
        """Say whether the log ends with something that was not answered."""
        return isinstance(next_step(self.conversation.rows), Generate)

"""What a chat in a terminal can do, whichever way it is painted; commands work on this."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from palaver import assemble
from palaver.chat.decide import next_step
from palaver.chat.run import run_turn, take
from palaver.config.settings import Settings
from palaver.conversation import Conversation, Vault
from palaver.core.errors import EngineError, PalaverError, UserError
from palaver.core.events import Event
from palaver.core.generation import Generation, Sampling
from palaver.core.log import Row
from palaver.core.messages import Message, user
from palaver.core.model import Cost
from palaver.models.local import LocalModel
from palaver.sessions.background import AsyncStore


class Screen(Protocol):
    """How a front end shows things. All texts but `events` are the program's own, escaped."""

    def note(self, text: str) -> None:
        """Show what the program has to say."""

    def error(self, error: Exception) -> None:
        """Show what went wrong and what to do."""

    def page(self, text: str) -> None:
        """Show a longer text."""

    def begin(self, what: str) -> None:
        """An answer begins; `what` is shown until its first token."""

    def show(self, events: Sequence[Event]) -> None:
        """Show a frame of the answer under way."""

    def end(self, row: Row | None) -> None:
        """The answer is over; `row` is what was stored of it."""

    def said(self, text: str, *, again: bool) -> None:
        """Show what the user said, where they did not just type it themselves."""

    def offer(self, text: str) -> None:
        """Put text into the input line, to be changed and sent."""

    def changed(self) -> None:
        """Model, session or cost changed: header and status line may be out of date."""

    async def edit(self, text: str) -> str | None:
        """Let the user change a text in their editor; None where nothing was saved."""

    def clear(self) -> None:
        """Clear the screen where that is possible."""


class Controller:
    """One chat: settings, store, session, and the model that is being loaded or is there."""

    def __init__(self, settings: Settings, flags: dict[str, Any], screen: Screen) -> None:
        self.settings = settings
        self.flags = flags
        self.screen = screen
        self.sampling: Sampling = assemble.sampling(settings)
        self.model: LocalModel | None = None
        self.cost: Cost | None = None
        self.busy = False
        self._vault = Vault(keep=not flags.get("no_save"))
        self._conversation: Conversation | None = None
        self._loading: asyncio.Task[LocalModel] | None = None
        self._idle: asyncio.Task[None] | None = None
        self._stopped = False

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

    # -- beginning and end ---------------------------------------------------------------

    async def open(self, waiting: Any = None) -> None:
        """Open the store and the session, and begin to load the model. Raises StoreError."""
        assemble.signing(self.settings)
        if self.settings.output:
            from palaver.capture.output import check_output

            check_output(Path(self.settings.output))
        store = await AsyncStore.open(self._vault.path)
        recovered: Row | None = None
        if self.flags.get("resume"):
            from palaver.terminal.sessions import number_of

            number = await number_of(store, str(self.flags["resume"]))
            self._conversation, recovered = await Conversation.resume(store, number)
        else:
            self._conversation = await Conversation.create(
                store, self.settings.system, self.settings.model or assemble.TINY
            )
        self._load(waiting)
        if recovered:
            self.screen.note("the last answer had been cut off; /continue goes on with it")

    def _load(self, waiting: Any = None) -> None:
        self.model = None
        began = self.conversation.began
        keep = not self.flags.get("no_save")
        self._loading = asyncio.create_task(
            assemble.open_model(self.settings, started=began, waiting=waiting, keep_states=keep)
        )
        self._loading.add_done_callback(self._loaded)

    def _loaded(self, task: asyncio.Task[LocalModel]) -> None:
        if task.cancelled() or task is not self._loading:
            return
        error = task.exception()
        if error is None:
            self.model = task.result()
            self.screen.changed()
        elif isinstance(error, PalaverError):
            self.screen.error(error)
            self.screen.changed()
        else:
            raise error

    async def ready(self) -> LocalModel:
        """Wait for the model. Raises what loading raised."""
        if self._loading is None:
            raise UserError("no model is loaded", fix="/model NAME loads one")
        return await asyncio.shield(self._loading)

    async def close(self) -> None:
        """Save what is cached, write the capture, end the engine; nothing is lost by it."""
        await self.settle()
        with suppress(PalaverError):
            if self._conversation:
                await self.capture()
        if self._loading and not self._loading.done():
            self._loading.cancel()
            with suppress(asyncio.CancelledError, PalaverError):
                await self._loading
        if self.model:
            with suppress(EngineError, OSError):
                await self.model.cache.save()
            await self.model.close()
        if self._conversation:
            await self._conversation.store.close()
        self._vault.close()

    # -- turns ---------------------------------------------------------------------------

    async def say(self, text: str) -> None:
        """Say something to the model and show its answer. The text is on disk before that."""
        await self.conversation.append(user(text))
        await self.answer()

    async def answer(self) -> None:
        """Let the model answer the log as it stands."""

        async def work(model: LocalModel) -> None:
            await run_turn(self.conversation, model, (), self.sampling, self.screen.show)

        await self._work(work)

    async def carry_on(self) -> None:
        """Go on with the cut-off answer that the log ends with."""
        conversation = self.conversation
        view = conversation.view
        if not view or not _cut_off(view[-1]):
            raise UserError("the last answer is complete", fix="/retry asks for another one")
        row = view[-1]

        async def work(model: LocalModel) -> None:
            answer = model.carry_on(view, (), self.sampling)
            await conversation.stand_in(row)
            await take(conversation, answer, self.screen.show)

        await self._work(work)

    async def _work(self, work: Callable[[LocalModel], Awaitable[None]]) -> None:
        """Do the model's work with the screen around it; start its engine again if it died."""
        await self.settle()
        self.busy, self._stopped = True, False
        before = self.conversation.rows[-1] if self.conversation.rows else None
        self.screen.begin("loading the model" if self.model is None else "reading")
        try:
            model = await self.ready()
            if not self._stopped:
                await work(model)
        except EngineError as error:
            self.screen.error(error)
            if error.died:
                await self._revive()
        finally:
            self.busy = False
            rows = self.conversation.rows
            new = rows[-1] if rows and rows[-1] is not before else None
            self.screen.end(new)
        if new:
            await self.capture()
        self._idle = asyncio.create_task(self._tend())

    async def _revive(self) -> None:
        if self.model is None:
            return
        self.screen.note("starting the engine again")
        try:
            await self.model.cache.restart()
        except PalaverError as error:
            self.screen.error(error)
            return
        self.screen.note("the engine is back; /continue goes on, /retry asks again")

    def stop(self) -> bool:
        """End the answer under way within a token; False if there is none."""
        if not self.busy:
            return False
        self._stopped = True
        if self.model:
            self.model.cancel()
        return True

    # -- between turns -------------------------------------------------------------------

    async def settle(self) -> None:
        """End what is done between turns, or wait for what can't be ended."""
        if self._idle and not self._idle.done():
            self._idle.cancel()
            with suppress(asyncio.CancelledError):
                await self._idle
        self._idle = None

    async def _tend(self) -> None:
        """What is worth doing while the user reads: save the state, mind the threads."""
        await asyncio.sleep(1.0)
        model = self.model
        if model is None:
            return
        try:
            if not self.flags.get("no_save"):
                await asyncio.shield(model.cache.save())
            threads = await model.engine.better_threads()
            if threads is not None:
                await asyncio.shield(model.cache.restart(threads))
                self.screen.changed()
            await self.conversation.store.run(_tidy)
        except EngineError as error:
            self.screen.error(error)
            if error.died:
                await self._revive()

    async def estimate(self, draft: str) -> Cost | None:
        """Say what sending `draft` would cost; None while it can't be known."""
        if self.model is None or self.busy or self._conversation is None:
            return None
        self.cost = await self.model.cost(self.conversation.view, (), draft)
        return self.cost

    async def warm(self) -> None:
        """Bring the conversation into the engine's cache while the user types."""
        if self.model and not self.busy and self._conversation:
            await self.model.warm(self.conversation.view, ())

    # -- settings, sessions, capture -----------------------------------------------------

    def set(self, **values: Any) -> None:
        """Change settings of this run. Raises UserError for values that can't be."""
        self.settings = dataclasses.replace(self.settings, **values)
        self.sampling = assemble.sampling(self.settings)

    async def use_model(self, name: str | None, **values: Any) -> None:
        """Load another model, or the same with other settings; the conversation goes on.

        The old one stays if the new one can't be found.
        """
        settings = dataclasses.replace(self.settings, model=name, **values)
        await asyncio.to_thread(assemble.model_path, settings)
        await self.settle()
        if self.model:
            with suppress(EngineError, OSError):
                await self.model.cache.save()
            await self.model.close()
        self.settings = settings
        self._load()
        await self.ready()

    async def switch(self, conversation: Conversation) -> None:
        """Go on in another session; what the cache holds of this one is saved first."""
        await self.settle()
        old = self.conversation
        if self.model:
            with suppress(EngineError, OSError):
                await self.model.cache.save()
        self._conversation = conversation
        if old.session != conversation.session:
            await old.leave()
        self.screen.changed()

    async def capture(self, path: Path | None = None) -> str | None:
        """Append the session's records to `path`, or to --output; say what was written."""
        target = path or (Path(self.settings.output) if self.settings.output else None)
        if target is None:
            return None
        from palaver.capture.output import save_session

        return await save_session(
            self.conversation.store,
            self.conversation.session,
            target,
            signing=assemble.signing(self.settings),
            no_system=bool(self.flags.get("no_system")),
        )

    def waits_for_answer(self) -> bool:
        """Say whether the log ends with something that was not answered."""
        return type(next_step(self.conversation.rows)).__name__ == "Generate"

    def last_generation(self) -> Generation | None:
        """Return how the newest answer came to be."""
        for row in reversed(self.conversation.rows):
            if row.generation:
                return row.generation
        return None


def _cut_off(row: Row) -> bool:
    entry = row.entry
    return isinstance(entry, Message) and entry.role == "assistant" and entry.stop != "end"


def _tidy(store: Any) -> bool:
    return bool(store.tidy())

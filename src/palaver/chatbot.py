"""Chat from Python in a few lines, without asyncio.

from palaver import Chatbot

with Chatbot("model.gguf") as bot:
    print(bot.user_turn("Hello!"))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Self

from palaver import assemble
from palaver.chat.front import Front
from palaver.chat.run import run_turn
from palaver.chat.work import LEFT, Worker, Workshop
from palaver.config import paths, settings
from palaver.conversation import Conversation, Vault
from palaver.core.errors import UserError
from palaver.core.events import Event, MessageDone, State, StateChanged, TextDelta
from palaver.core.messages import Message, user
from palaver.core.model import Opened
from palaver.core.tool import Tool
from palaver.launch import model_name
from palaver.loop import Loop
from palaver.sessions.background import AsyncStore
from palaver.tools import chosen
from palaver.tools.function import as_tool
from palaver.tools.toolbox import different


class Chatbot:
    """A model with a conversation. `state` is "idle", "thinking", "awaiting tool" or, once closed,
    "goodbye".

    `model` is what `palaver -m` takes; None is the tiny model that ships. Other keywords are
    settings (`palaver config show` lists them). `tools` are functions (`palaver.tool` says what
    they need), or names of palaver's own; they run unasked, between the hooks of the user's
    config. With `save` the conversation is kept in the user's store, where `palaver --resume`
    finds it. Raises UserError, EngineError, StoreError.
    """

    def __init__(
        self,
        model: str | None = None,
        tools: Sequence[Tool | Callable[..., Any] | str] = (),
        *,
        save: bool = False,
        **given: Any,
    ) -> None:
        made: list[Tool] = []
        for tool in tools:
            made += chosen.tools(tool) if isinstance(tool, str) else [as_tool(tool, repr(tool))]
        self._root = paths.here()
        runs = any(tool.spec.name in chosen.PROGRAMS for tool in made)
        self._sandbox = assemble.open_sandbox(self._root) if runs else None
        hooks = assemble.open_hooks()
        self._tools = assemble.open_box(different(made), self._root, None, self._sandbox, hooks)
        self._front: Front | None = None  # of the turn under way
        self._settings = settings.load(model=model, **given)
        self._vault = Vault(keep=save)
        self._state: State = "idle"
        self._closed = False
        self._loop = Loop()
        try:
            self._conversation, self._model = self._loop.wait(self._open(save))
        except BaseException:
            self._stop()
            raise

    async def _open(self, save: bool) -> tuple[Conversation, Opened]:
        model = await assemble.open_model(self._settings, started=time.time(), keep_states=save)
        try:
            store = await AsyncStore.open(self._vault.path)
            try:
                name = model_name(self._settings)
                return await Conversation.create(store, self._settings.system, name), model
            except BaseException:
                await store.close()
                raise
        except BaseException:
            await model.close()
            raise

    @property
    def state(self) -> State:
        """What the chatbot does, read off the log."""
        return "goodbye" if self._closed else self._state

    @property
    def messages(self) -> list[Message]:
        """The conversation so far."""
        return [r.entry for r in self._conversation.rows if isinstance(r.entry, Message)]

    def user_turn(self, text: str) -> str:
        """Say something; return the whole answer."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Iterator[str]:
        """Say something; yield the answer as it comes. Leaving the loop stops the model."""
        if self._closed:
            raise UserError("the chatbot was closed", fix="make a new Chatbot")
        events: SimpleQueue[Event | BaseException | None] = SimpleQueue()
        running = self._loop.start(self._turn(text, events))
        try:
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, TextDelta):
                    yield event.text
        finally:
            if not running.done():
                self._loop.call(self._halt)
            with suppress(Exception):
                running.result()

    def _halt(self) -> None:
        """End the answer or the tool under way."""
        self._model.cancel()
        if self._front:
            self._front.halt.set()

    async def _turn(self, text: str, events: SimpleQueue[Event | BaseException | None]) -> None:
        self._state = "thinking"
        try:
            sampling = assemble.sampling(self._settings)

            def show(frame: Sequence[Event]) -> None:
                for event in frame:
                    if isinstance(event, StateChanged):
                        self._state = event.state
                    elif not isinstance(event, MessageDone):
                        events.put(event)

            rounds, context = self._settings.max_tool_rounds, self._model.info.context
            shop = Workshop(self._tools, self._root, rounds, context)
            front = self._front = Front(show)
            await Worker(self._conversation, shop, front).close(LEFT)
            await self._conversation.append(user(text))
            await run_turn(self._conversation, self._model, shop, sampling, front)
        except BaseException as error:
            events.put(error)
            raise
        finally:
            self._state = "idle"
            events.put(None)

    def save_state(self) -> bool:
        """Save what the engine's cache holds, for a later start; False if nothing was new."""
        return self._loop.wait(self._model.save())

    def close(self) -> None:
        """End the engine and the store; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._loop.wait(self._end())
            self._stop()

    async def _end(self) -> None:
        await self._model.close()
        if self._sandbox:
            await self._sandbox.close()
        await self._conversation.store.close()

    def _stop(self) -> None:
        self._loop.close()
        self._vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

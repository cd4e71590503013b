"""All sessions, for the pages that ask: the store, opened when the first one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from palaver.config.settings import Settings
from palaver.conversation import Conversation, Vault, said
from palaver.core.errors import UserError
from palaver.server.errors import ApiError
from palaver.server.service import Service
from palaver.server.sessions import told
from palaver.server.sessions.chat import Chat
from palaver.server.sessions.tooling import Bench, ToolPolicy
from palaver.server.sessions.turn import Asked
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store
from palaver.tools import undo

_HOW = {"cut off": {"carry_on": True}, "stopped": {"again": True}}
_LISTED = 300  # sessions; a search finds the others


class Access(Struct, frozen=True):
    """Whose sessions may be seen: `names` are those of keys, None where no key is asked for.

    `keep` False: sessions end with the server, and none of before are seen.
    """

    names: frozenset[str] | None
    keep: bool = True


class Desk:
    """Keeps the chats that were asked for; see `Chat`."""

    def __init__(
        self, service: Service, settings: Settings, policy: ToolPolicy, access: Access
    ) -> None:
        """Raises UserError for tools or rules that can't be had."""
        self.service = service
        self.settings = settings
        self.bench = Bench(service, settings, policy)
        self._names = access.names
        self.keeps = access.keep
        self._vault = Vault(keep=access.keep)
        self._opening = asyncio.Lock()
        self._store: AsyncStore | None = None
        self._chats: dict[int, Chat] = {}

    def check(self, client: str) -> None:
        """Raise ApiError where a key is for the API alone."""
        if self._names is not None and client not in self._names:
            raise ApiError(
                f"the key {client!r} may not use the page: --page {client} lets it", status=403
            )

    def check_tools(self, client: str) -> None:
        """Raise ApiError where a key is not one of those that tools run for: those of the page."""
        if self._names is not None and client not in self._names:
            raise ApiError(
                f"tools: those of this server don't run for the key {client!r}:"
                f" --page {client} lets them",
                status=403,
                param="tools",
            )

    async def store(self) -> AsyncStore:
        """Return the store. Raises StoreError."""
        async with self._opening:
            if self._store is None:
                self._store = await AsyncStore.open(self._vault.path)
            return self._store

    async def chat(self, session: int) -> Chat:
        """Return a session's chat. Raises ApiError where there is none."""
        store = await self.store()
        try:
            await store.run(Store.session, session)
        except UserError as error:
            raise ApiError(error.message, status=404, code="no_session") from None
        if session not in self._chats:
            self._chats[session] = Chat(store, session, self.bench)
        return self._chats[session]

    def end(self) -> None:
        """Let turns under way come to their end, but for those that wait for somebody's answer."""
        for chat in self._chats.values():
            if chat.turn and chat.turn.question:
                chat.turn.stop()

    def cut_off(self) -> None:
        """Stop the turns under way."""
        for chat in self._chats.values():
            if chat.turn:
                chat.turn.stop()

    async def close(self) -> None:
        """Wait for the turns under way; what came of them is stored. Close the store.

        Where the server does not end in order, nobody says that they have to stop: they do.
        """
        if not self.bench.ending:
            self.cut_off()
        await asyncio.gather(*(chat.over() for chat in self._chats.values()))
        await self.bench.close()
        if self._store:
            await self._store.close()
        self._vault.close()

    # -- lists ---------------------------------------------------------------------------

    async def sessions(self) -> list[dict[str, Any]]:
        """Return the newest sessions, and what is done in them."""
        store = await self.store()
        found = [told.session(one) for one in await store.run(Store.list_sessions, _LISTED)]
        for one in found:
            chat = self._chats.get(one["id"])
            turn = chat.turn if chat else None
            one["busy"] = turn is not None
            one["asks"] = turn is not None and turn.question is not None
        return found

    async def search(self, text: str) -> list[object]:
        """Return what holds all the words. Raises UserError where there is none in `text`."""
        return [*await (await self.store()).run(Store.search, text, 50)]

    async def watch(self, session: int) -> AsyncGenerator[object]:
        """Yield what happens in a session; its last event says that it was deleted, if it was."""
        chat = await self.chat(session)
        try:
            async with aclosing(chat.watch()) as events:
                async for event in events:
                    yield event
        except UserError:
            yield {"type": "gone"}

    # -- turns ---------------------------------------------------------------------------

    async def create(self, text: str, asked: Asked) -> int:
        """Begin a session with what the user says; return its number."""
        self.bench.check()
        store = await self.store()
        made = await Conversation.create(store, self.settings.system, self.service.name)
        await made.append(said(made.rows, text))
        (await self.chat(made.session)).start(made, asked)
        return made.session

    async def say(self, session: int, tip: int | None, text: str, asked: Asked) -> None:
        """Say something; it is on disk when this returns. Raises ApiError."""
        chat = await self.chat(session)

        async def prepare(conversation: Conversation) -> None:
            await chat.leave_open(conversation)
            await conversation.append(said(conversation.rows, text))

        await chat.begin(tip, asked, prepare)

    async def edit(self, session: int, tip: int | None, row: int, text: str, asked: Asked) -> None:
        """Say something else in the place of a message of the user's; that stays as a branch."""

        async def prepare(conversation: Conversation) -> None:
            found = [one for one in conversation.rows if one.id == row]
            if not found or not told.is_user(found[0]):
                raise ApiError(f"row: {row} is no message of the user's here", param="row")
            if found[0] == conversation.last_turn():
                await conversation.before_last_turn()
            else:
                await conversation.go_to(found[0].parent)
            await conversation.append(said(conversation.rows, text))

        await (await self.chat(session)).begin(tip, asked, prepare)

    async def retry(self, session: int, tip: int | None, asked: Asked) -> None:
        """Ask for another answer to the newest message; the one that stands stays as a branch."""

        async def prepare(conversation: Conversation) -> None:
            await conversation.at_last_turn()

        await (await self.chat(session)).begin(tip, asked, prepare)

    async def carry_on(self, session: int, tip: int | None, asked: Asked) -> None:
        """Go on where the log ends: answer, run what is open, or go on with a cut-off answer."""
        chat = await self.chat(session)
        async with chat.writing(tip) as conversation:
            step = told.step(conversation.rows)
            if step in ("answered", "empty"):
                raise ApiError("there is no cut-off answer", status=409, code="moved")
            chat.start(conversation, replace(asked, **_HOW.get(step, {})))

    async def undo(self, session: int, tip: int | None) -> None:
        """Take the newest turn back, and what its tools did to files."""

        async def do(conversation: Conversation) -> list[str]:
            before = list(conversation.rows)
            if not await conversation.undo():
                raise ApiError("there is nothing to undo", status=409, code="moved")
            return undo.undo(before[len(conversation.rows) :])

        await (await self.chat(session)).change(tip, do)

    async def redo(self, session: int, tip: int | None) -> None:
        """Go back to where the newest undo, edit or retry left from."""

        async def do(conversation: Conversation) -> list[str]:
            known = {row.id for row in conversation.rows}
            if not await conversation.redo():
                raise ApiError("there is nothing to redo", status=409, code="moved")
            return await undo.redo([row for row in conversation.rows if row.id not in known])

        await (await self.chat(session)).change(tip, do)

    async def go(self, session: int, tip: int | None, row: int) -> None:
        """Stand on the newest branch in which a message was said as in `row`."""
        store = await self.store()

        async def do(conversation: Conversation) -> list[str]:
            await conversation.go_to(await store.run(Store.newest, session, row))
            return []

        await (await self.chat(session)).change(tip, do)

    # -- sessions ------------------------------------------------------------------------

    async def title(self, session: int, title: str) -> None:
        """Name a session; an empty title takes its name away."""
        await self.chat(session)
        await (await self.store()).run(Store.set_title, session, title.strip() or None)

    async def fork(self, session: int, row: int | None) -> int:
        """Make a session that goes on from a row of another, or from where it stands."""
        await self.chat(session)
        store = await self.store()
        made = await store.run(Store.fork, session, row)
        await store.run(Store.release, made)
        return made

    async def delete(self, session: int) -> None:
        """Remove a session and what only it holds. Raises ApiError where it is written."""
        chat = await self.chat(session)
        if chat.turn:
            raise ApiError("an answer is under way: stop it first", status=409, code="busy")
        try:
            await (await self.store()).run(Store.delete, session)
        except UserError as error:
            raise ApiError(error.message, status=409, code="elsewhere") from None
        self._chats.pop(session).end()

"""A stored conversation as the loop uses it, where the store fails it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from palaver.conversation import Conversation
from palaver.core.errors import StoreError
from palaver.core.messages import Message, Text, user
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store


def test_an_answer_that_can_not_be_stored_leaves_the_one_it_goes_on_from(tmp_path):
    asyncio.run(_fail_to_replace(tmp_path / "palaver.db"))


async def _fail_to_replace(path: Path) -> None:
    store = await AsyncStore.open(path)
    try:
        talk = await Conversation.create(store, None, None)
        await talk.append(user("asked"))
        cut = await talk.append(Message("assistant", (Text("the begin"),), "cancelled"))
        await talk.stand_in(cut)
        path.rename(path.with_name("away"))
        with pytest.raises(StoreError):
            await talk.append(Message("assistant", (Text("the beginning"),), "end"))
        path.with_name("away").rename(path)
        talk.stand_back()
        assert [row.id for row in talk.rows] == [
            row.id for row in await store.run(Store.path, talk.session)
        ]
        assert (await talk.append(user("and on"))).parent == cut.id
    finally:
        await store.close()


def test_an_entry_whose_writer_is_cancelled_is_where_the_store_has_it(tmp_path):
    asyncio.run(_cancel_while_it_writes(tmp_path / "palaver.db"))


async def _cancel_while_it_writes(path: Path) -> None:
    store = await AsyncStore.open(path)
    try:
        talk = await Conversation.create(store, None, None)
        free = threading.Event()
        held = asyncio.create_task(store.run(lambda _store: free.wait()))
        writer = asyncio.create_task(talk.append(user("asked")))
        await asyncio.sleep(0)  # both have begun
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        free.set()
        await held
        stored = await store.run(Store.path, talk.session)
        assert [row.id for row in talk.rows] == [row.id for row in stored] == [1]
    finally:
        await store.close()

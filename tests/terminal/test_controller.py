"""What a chat does between turns and when a part of it fails, without a terminal around it."""

from __future__ import annotations

import asyncio
import functools
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.terminal import tiny

from palaver.config.settings import Settings
from palaver.conversation import Conversation
from palaver.core.errors import StoreError
from palaver.core.events import Event, Prefill, ReasoningDelta, TextDelta
from palaver.core.log import Notice, Row
from palaver.core.messages import Message, Text, user
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store
from palaver.terminal import upkeep
from palaver.terminal.controller import Controller
from palaver.terminal.lines import handle
from palaver.terminal.sessions import number_of, recap
from palaver.terminal.view import AnswerView


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test that waits for things."""

    @functools.wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))

    return run


class Notes:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.waits: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    page = recap = said = offer = note

    def advise(self, what: str, how: str) -> None:
        self.lines.append(f"{what}: {how}")

    def error(self, error: Exception) -> None:
        self.lines.append(f"error: {error}")

    def begin(self, what: str) -> None:
        self.waits.append(what)

    def show(self, events: Sequence[Event]) -> None:
        """Nothing is drawn."""

    def end(self, row: Row | None) -> None:
        """Nothing is drawn."""

    def changed(self) -> None:
        """Nothing is drawn."""

    def typed(self) -> str | None:
        """Nobody types."""

    sent = changed
    asks = False


@asynccontextmanager
async def chatting(home: Path, monkeypatch: Any, **flags: Any) -> AsyncIterator[Controller]:
    monkeypatch.setenv("PALAVER_HOME", str(home))
    settings = Settings(
        model=str(tiny()), threads=1, context=2048, max_tokens=6, temperature=0.0, **flags
    )
    chat = Controller(settings, {}, Notes())
    await chat.open()
    await chat.ready()
    try:
        yield chat
    finally:
        await chat.close()


def roles(chat: Controller) -> str:
    entries = [row.entry for row in chat.conversation.rows]
    return "".join(entry.role[0] for entry in entries if isinstance(entry, Message))


async def until(met: Any) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def killed(chat: Controller) -> None:
    """Kill the engine and wait until that is seen."""
    chat.model.engine._child.process.kill()
    await until(lambda: not chat.model.engine.alive)


@in_loop
async def test_a_full_disk_between_turns_ends_nothing(tmp_path, monkeypatch):
    faults: list[Any] = []
    tried: list[Store] = []

    def full(store: Store) -> bool:
        tried.append(store)
        raise StoreError("the disk is full")

    monkeypatch.setattr(upkeep, "_SETTLED", 0.0)
    monkeypatch.setattr(upkeep, "_IDLE", 0.0)
    monkeypatch.setattr(Store, "tidy", full)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, found: faults.append(found))
    async with chatting(tmp_path, monkeypatch) as chat:
        await handle(chat, "one")
        await until(lambda: tried)
        await handle(chat, "two")
        assert roles(chat) == "uaua", chat.screen.lines
    assert not faults
    assert not any("stopped" in line or "error" in line for line in chat.screen.lines)


@in_loop
async def test_a_turn_that_comes_while_the_state_is_saved_waits_for_it(tmp_path, monkeypatch):
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, found: faults.append(found))
    monkeypatch.setattr(upkeep, "_SETTLED", 0.0)
    monkeypatch.setattr(upkeep, "_IDLE", 0.5)
    async with chatting(tmp_path, monkeypatch) as chat:
        await handle(chat, "one " * 300)
        engine = chat.model.engine._child.process
        engine.send_signal(signal.SIGSTOP)  # so the saving takes as long as we like
        try:
            await until(chat.model.cache.busy.locked)
            await asyncio.sleep(0.1)
            await chat.upkeep.settle()
            gc.collect()  # nothing but the upkeep holds what waits for the engine
            assert chat.model.cache.busy.locked()
        finally:
            engine.send_signal(signal.SIGCONT)
        await handle(chat, "two")
        assert roles(chat) == "uaua", chat.screen.lines
    assert not faults


@in_loop
async def test_what_a_command_printed_counts_before_anything_is_typed(tmp_path, monkeypatch):
    async with chatting(tmp_path, monkeypatch) as chat:
        await handle(chat, "one")
        await chat.forecast.count(chat, "")
        before = chat.forecast.cost.prefill
        await chat.conversation.append(Notice("exec", "$ ls\n" + "word " * 50))
        await chat.forecast.count(chat, "")
        assert chat.forecast.cost.prefill > before + 50


@in_loop
async def test_an_engine_that_died_is_started_where_the_user_can_stop_it(tmp_path, monkeypatch):
    async with chatting(tmp_path, monkeypatch) as chat:
        await handle(chat, "one")
        await chat.forecast.count(chat, "")
        assert chat.forecast.cost.reused > 0
        await killed(chat)
        chat.upkeep.mind()
        assert chat.forecast.cost is None
        await chat.forecast.count(chat, "")
        assert chat.forecast.uncounted == "the engine ended; a turn starts it"
        turn = asyncio.create_task(handle(chat, "two"))
        await until(lambda: chat.screen.waits[-1] == "starting the engine")
        await until(lambda: not chat.upkeep.works(chat.model))
        assert chat.stop()
        await turn
        assert roles(chat) == "uau"
        assert chat.screen.lines[-1].startswith("stopped; nothing was answered")
        # What was not answered is answered then, by the engine that was started meanwhile.
        await handle(chat, "/continue")
        assert roles(chat) == "uaua", chat.screen.lines


@in_loop
async def test_continue_answers_what_was_not_answered(tmp_path, monkeypatch):
    async with chatting(tmp_path, monkeypatch) as chat:
        await chat.conversation.append(user("asked, then killed"))
        await handle(chat, "/continue")
        assert roles(chat) == "ua"
        assert chat.screen.lines == []


@pytest.mark.parametrize("turns", [0, 1])
@in_loop
async def test_trim_needs_two_turns(tmp_path, monkeypatch, turns):
    async with chatting(tmp_path, monkeypatch) as chat:
        for number in range(turns):
            await handle(chat, f"turn {number}")
        await handle(chat, "/trim")
        assert "the newest turn always stays" in chat.screen.lines[-1]


@in_loop
async def test_the_last_session_is_one_that_was_answered(tmp_path):
    store = await AsyncStore.open(tmp_path / "palaver.db")
    failed = await Conversation.create(store, None, None)
    await failed.append(user("never answered"))
    assert await number_of(store, "last") == failed.session
    cut = await Conversation.create(store, None, None)
    await cut.append(user("killed while it was answered"))
    await cut.journal("text", "the begin")
    answered = await Conversation.create(store, None, None)
    await answered.append(user("asked"))
    await answered.append(Message("assistant", (Text("said"),)))
    await (await Conversation.create(store, None, None)).append(user("failed at once"))
    assert await number_of(store, "last") == answered.session
    assert await number_of(store, "last", other_than=answered.session) == cut.session
    await store.close()


@in_loop
async def test_another_session_gets_another_sandbox(tmp_path, monkeypatch):
    async with chatting(tmp_path, monkeypatch, tools="python") as chat:
        await handle(chat, "hello")
        before = chat.tooling.sandbox
        assert before is not None
        await handle(chat, "/fork")
        assert chat.tooling.sandbox is before
        await handle(chat, "/resume 1")
        await handle(chat, "/tools")
        assert chat.tooling.sandbox not in (before, None)


def test_reading_says_how_far_it_is_and_how_long_it_takes():
    view = AnswerView(lambda: 100, color=False)
    view.begin("reading", 0.1)
    view.feed([Prefill(300, 1300, 300)])
    (row,) = view.tail()
    assert row.startswith("reading [....................] 0 of 1000 tokens (300 reused), ~")
    assert " left" in row
    view.feed([Prefill(800, 1300, 300)])
    (row,) = view.tail()
    assert "[##########..........] 500 of 1000 tokens (300 reused)," in row
    assert "tokens/s" in row
    view.begin("reading")
    view.feed([Prefill(0, 10, 0)])
    assert "left" not in view.tail()[0]


def test_each_thought_counts_its_own_tokens_and_says_that_it_guesses():
    view = AnswerView(lambda: 60, color=False)
    view.begin("reading")
    view.feed([ReasoningDelta("one "), ReasoningDelta("two"), TextDelta("so")])
    view.feed([ReasoningDelta("three"), TextDelta("then")])
    told = [row.rpartition(", ")[2] for row in view.finish() if row.startswith("thought")]
    assert told == ["~2 tokens", "~1 tokens"]


def test_a_recap_sets_what_was_asked_apart_from_the_answer():
    said = [user("one\ntwo"), Message("assistant", (Text("three\nfour"),))]
    rows = [Row(n, 1, n - 1 or None, 0.0, entry) for n, entry in enumerate(said, 1)]
    assert recap(rows) == "you> one\n     two\nthree\nfour"

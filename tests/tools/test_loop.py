"""The loop with a real engine, the shipped model and a store on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.talk import load

from palaver import Chatbot, assemble, demo
from palaver.chat.decide import AwaitUser
from palaver.chat.front import Front
from palaver.chat.run import run_turn
from palaver.config import settings
from palaver.conversation import Conversation
from palaver.core.errors import UserError
from palaver.core.events import Event, ToolFinished
from palaver.core.generation import Sampling
from palaver.core.messages import user
from palaver.core.tool import ToolContext, ToolSpec
from palaver.models.local import LocalModel
from palaver.sessions.background import AsyncStore
from palaver.tools import chosen
from palaver.tools.read_file import TOOL as READ

GREEDY = Sampling(max_tokens=100, temperature=0.0)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "ws"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "a.md").write_text("alpha\n")
    (folder / "notes.txt").write_text("hello there\nsecond line\n")
    return folder


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[tuple[LocalModel, Conversation]]:
    model = await load(folder, model=demo.path(), context=2048)
    store = await AsyncStore.open(folder / "palaver.db")
    try:
        yield model, await Conversation.create(store, None, None)
    finally:
        await model.close()
        await store.close()


async def say(
    model: LocalModel, log: Conversation, place: Path, text: str, tools: str = "auto"
) -> list[Event]:
    events: list[Event] = []
    guard = assemble.open_guard(place, preset=None, asks=lambda: False, sandboxed=True)
    shop = assemble.workshop(settings.Settings(tools=tools), model, place, guard)
    await log.append(user(text))
    ended = await run_turn(log, model, shop, GREEDY, Front(events.extend))
    assert ended == AwaitUser("answered")
    return events


def results(events: list[Event]) -> list[tuple[str, str]]:
    return [(e.result.name, e.result.text) for e in events if isinstance(e, ToolFinished)]


def test_the_shipped_model_lists_and_reads_and_only_new_tokens_are_read(tmp_path, place):
    async def run() -> None:
        async with talking(tmp_path) as (model, log):
            first = await say(model, log, place, "list the files")
            assert results(first) == [("list_files", "docs/\nnotes.txt")]
            second = await say(model, log, place, "Read notes.txt")
            assert results(second) == [("read_file", "hello there\nsecond line\n")]
            third = await say(model, log, place, "what is in docs/?")
            assert results(third) == [("list_files", "a.md")]
            assert log.rows[-1].entry.text.endswith("a.md")
            made = [row.generation for row in log.rows if row.generation]
            assert len(made) == 6
            held = 0
            for generation in made:
                timings = generation.timings
                # All that was cached is reused but the last id, which no one has read yet.
                assert timings.reused >= held - 1
                held = timings.reused + timings.prefilled + timings.decoded
                assert generation.exact
            assert max(g.timings.prefilled for g in made[1:]) <= 24

    asyncio.run(run())


class Slow:
    """A tool that never ends by itself."""

    spec = ToolSpec("read_file", "Read.", READ.spec.parameters, reads=True)

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        self.begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            self.ended.set()
        return ""

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        return "read"


def test_leaving_the_loop_of_a_chatbot_ends_its_tool(place, monkeypatch):
    monkeypatch.setenv("PALAVER_TEMPERATURE", "0")
    slow = Slow()
    with Chatbot(tools=[slow], threads=1) as bot:
        asking = threading.Thread(target=bot.user_turn, args=("Read notes.txt",), daemon=True)
        asking.start()
        assert slow.begun.wait(60)
        assert bot.state == "awaiting tool"
        bot._loop.call(bot._halt)
        asking.join(60)
        assert slow.ended.is_set()
        assert bot.state == "idle"
        assert "stopped by the user" in bot.messages[-1].parts[0].text
        assert bot.user_turn("hello")


def test_hooks_see_the_calls_of_a_chatbot(tmp_path, place, monkeypatch):
    monkeypatch.setenv("PALAVER_TEMPERATURE", "0")
    monkeypatch.chdir(place)
    config = tmp_path / "home" / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[hooks]\nbefore = [\"echo 'not today' >&2; exit 1\"]\n")
    with Chatbot(tools=["read_file"], threads=1) as bot:
        bot.user_turn("Read notes.txt")
        (result,) = [m.parts[0] for m in bot.messages if m.role == "tool"]
    assert result.failed
    assert result.text.endswith("says no: not today")


def test_which_tools_are_on(tmp_path, place):
    async def run() -> None:
        async with talking(tmp_path) as (model, _log):
            guard = assemble.open_guard(tmp_path, preset=None, asks=bool, sandboxed=True)

            def names(given: str) -> list[str]:
                shop = assemble.workshop(settings.Settings(tools=given), model, tmp_path, guard)
                return [spec.name for spec in shop.specs]

            assert set(names("auto")) == set(chosen.READING)
            assert names("off") == []
            assert names("read_file") == ["read_file"]
            assert set(names("on")) > set(names("auto"))
            with pytest.raises(UserError, match="did you mean 'read_file'"):
                names("read_fil")
            without = assemble.workshop(settings.Settings(), None, tmp_path, guard)
            assert without.specs == ()

    asyncio.run(run())

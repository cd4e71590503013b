"""Tools that several sessions use, and clients of the API, keep nothing of one for another."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from palaver.config.settings import Settings
from palaver.core.generation import Sampling
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolContext
from palaver.server.memory import Memory
from palaver.server.service import Limits, Service
from palaver.server.sessions.tooling import Bench, ToolPolicy, Tools

MODEL = SimpleNamespace(info=SimpleNamespace(tools=True, context=2048))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    service = Service("x", Limits(), Sampling(), Memory())
    return Bench(service, Settings(), ToolPolicy("python", None, sandboxed=False))


async def run(tools, code):
    shop = tools.shop(MODEL, [])
    call = ToolCall("1", "python", json.dumps({"code": code}))
    context = ToolContext(Path.cwd(), lambda _text: None, lambda _handle: "")
    return (await shop.tools.run(call, context)).text


def test_variables_are_of_one_session_and_of_no_client(bench):
    async def go():
        mine, other, client = Tools(bench), Tools(bench), Tools(bench, asks=False)
        seen = "print(globals().get('x'))"
        try:
            for tools in (mine, client):
                await run(tools, "x = 5")
            return [(await run(tools, seen)).strip() for tools in (mine, other, client)]
        finally:
            await bench.close()

    assert asyncio.run(go()) == ["5", "None", "None"]

"""Whole replies held to a schema, in a format whose messages begin with a header."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.engines import start
from tests.support.talk import Talk

from palaver.core.generation import Sampling
from palaver.core.tool import ToolSpec
from palaver.formats.harmony.format import HarmonyFormat
from palaver.models.kv import States
from palaver.models.local import LocalModel
from palaver.server.calls import ForcedCall, call_schema

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}, "b": {"enum": [1, "x"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


@asynccontextmanager
async def harmony(folder: Path) -> AsyncIterator[LocalModel]:
    engine = await start(folder, "gpt-oss")
    fmt = HarmonyFormat(engine.file.control)
    model = LocalModel(engine, fmt, States(folder / "kv", engine.info.fingerprint, 0))
    try:
        yield model
    finally:
        await model.close()


def test_a_call_that_has_to_be_made_ends_where_it_is_whole(tmp_path):
    """llama.cpp lets `<|end|>` follow the JSON, which ends no reply of gpt-oss."""
    tool = ToolSpec("look", "", {"type": "object", "properties": {"n": {"enum": [1, 2]}}})
    sampling = Sampling(json_schema=call_schema((tool,)), max_tokens=100, temperature=0.0)

    async def run() -> None:
        async with harmony(tmp_path) as model:
            prompt = await model.prompt(Talk(model, head="x").rows, (tool,))
            events = [e async for e in model.answer(prompt, (tool,), sampling, parser=ForcedCall())]
            (call,) = events[-1].message.calls
            assert (call.name, call.error) == ("look", None)

    asyncio.run(run())


def test_a_held_reply_of_harmony_is_said_to_the_user_and_grown_from(tmp_path):
    async def run() -> None:
        async with harmony(tmp_path) as model:
            talk = Talk(model)
            held = await talk.ask("one", json_schema=json.dumps(SCHEMA), max_tokens=60)
            said = talk.rows[-1].entry
            assert set(json.loads(said.text)) == {"a", "b"}
            assert not said.reasoning
            assert held.exact
            assert said.stop == "end"
            then = await talk.ask("two", json_schema='{"const": "yes"}')
            assert talk.rows[-1].entry.text == '"yes"'
            whole = len(held.added)
            assert then.timings.reused >= whole - 2  # its end may be written differently

    asyncio.run(run())

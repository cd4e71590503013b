"""Whole replies held to a schema, in a format whose messages begin with a header."""

from __future__ import annotations

import asyncio
import json

from tests.support.engines import start
from tests.support.talk import Talk

from palaver.formats.harmony.format import HarmonyFormat
from palaver.models.kv import States
from palaver.models.local import LocalModel

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}, "b": {"enum": [1, "x"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


def test_a_held_reply_of_harmony_is_said_to_the_user_and_grown_from(tmp_path):
    async def run() -> None:
        engine = await start(tmp_path, "gpt-oss")
        model = LocalModel(
            engine, HarmonyFormat(engine.file.control), States(tmp_path / "kv", "x", 0)
        )
        try:
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
        finally:
            await model.close()

    asyncio.run(run())

"""Calls held to their tools' schemas by the engine, with the shipped model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs
from tests.support.engines import start

from palaver import demo
from palaver.core.events import MessageDone
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.messages import user
from palaver.core.tool import ToolSpec
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.template import TemplateFormat
from palaver.models.kv import States
from palaver.models.local import LocalModel
from palaver.tools.arguments import problem

WORD = {"enum": ["file", 'a "földer"\n', 3, None]}
SCHEMAS: list[dict[str, Any]] = [
    {"path": {"type": "string"}},
    {"where": WORD, "start": {"type": "integer", "minimum": 1}},
    {"many": {"type": "array", "items": {"type": "object", "properties": {"a b": WORD}}}},
    {"deep": {"type": "object", "properties": {"x": {"type": "number"}, "y": WORD}}},
    {"either": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "z": {"type": ["integer"]}},
    {
        "some": {"type": "array", "prefixItems": [WORD, WORD], "items": False},
        "known": {"$ref": "#/x"},
    },
    {"free": {"type": "object"}, "one": {"const": 1}, "none": {"type": "object", "properties": {}}},
]


def spec(name: str, properties: dict[str, Any], required: list[str] | None = None) -> ToolSpec:
    needed = list(properties) if required is None else required
    schema = {"type": "object", "properties": properties, "required": needed}
    return ToolSpec(name, "", schema)


@asynccontextmanager
async def shipped(folder: Path) -> AsyncIterator[LocalModel]:
    engine = await start(folder, model=demo.path(), context=2048)
    file = engine.file
    fmt = TemplateFormat(file.template, file.bos, file.eos, file.control)
    model = LocalModel(engine, fmt, States(folder / "kv", engine.info.fingerprint, 0))
    try:
        yield model
    finally:
        await model.close()


async def answer(model: LocalModel, tool: ToolSpec, **sampling: Any) -> MessageDone:
    rows = [Row(1, 1, None, 0.0, user("list the files"))]
    asked = Sampling(**{"temperature": 0.0, "max_tokens": 120} | sampling)
    (done,) = [e async for e in model.respond(rows, [tool], asked) if isinstance(e, MessageDone)]
    return done


def test_calls_under_the_grammar_of_a_schema_fit_it(tmp_path):
    async def work() -> None:
        async with shipped(tmp_path) as model:
            for properties in SCHEMAS:
                fitting = 0
                for seed, required in enumerate([list(properties), [], list(properties)[-1:]]):
                    tool = spec("fetch", properties, required)
                    held = model.format.grammar([tool])
                    given = {"grammar": held.text, "temperature": 2.0, "seed": seed}
                    for call in (await answer(model, tool, **given)).message.calls:
                        assert call.name == "fetch"
                        if call.error != "the call was cut off":
                            fitting += 1
                            assert problem(json.loads(call.arguments), tool.parameters) is None
                assert fitting

    asyncio.run(work())


def test_the_name_and_the_keys_of_a_call_are_those_of_a_tool(tmp_path):
    async def work() -> None:
        async with shipped(tmp_path) as model:
            tool = spec("my_list_files", {"folder": {"type": "string"}})
            held = await answer(model, tool)
            model.engine.info = structs.replace(model.engine.info, grammars=False)
            free = await answer(model, tool)
            (call,) = free.message.calls
            assert (call.name, call.arguments) == ("list_files", "{}")
            (call,) = held.message.calls
            assert (call.name, list(json.loads(call.arguments))) == ("my_list_files", ["folder"])
            one, other = held.generation, free.generation
            assert one.exact
            assert one.raw.startswith("<tool_call>")
            assert (one.sampling, one.prompt_hash) == (other.sampling, other.prompt_hash)
            assert one.added[: -one.sampled] == other.added[: -other.sampled]

    asyncio.run(work())


def nested(depth: int) -> dict[str, Any]:
    return {"type": "array", "items": nested(depth - 1)} if depth else {"type": "string"}


ODD: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": "x"}}, "required": 5},
    {"type": "object", "properties": {'"\\\n\ud800': {"enum": []}}, "required": ["none such"]},
    {"type": "object", "properties": {"a": True, "b": {"anyOf": [None]}, "": {"type": [7]}}},
    {"type": "object", "properties": {"deep": nested(500)}},
    {"type": "object"},
    {},
]


def test_schemas_that_somebody_made_up_make_grammars_that_the_engine_takes(tmp_path):
    async def work() -> None:
        async with shipped(tmp_path) as model:
            for schema in ODD:
                held = model.format.grammar([ToolSpec("fetch", "", schema)])
                assert await answer(model, spec("fetch", {}), grammar=held.text, max_tokens=8)

    asyncio.run(work())


def test_a_grammar_that_would_take_long_is_left_out():
    many = [spec(f"tool_{n}", {f"key_{n}_{i}": WORD for i in range(50)}) for n in range(100)]
    assert HermesParser.grammar(many[:2])
    assert HermesParser.grammar(many) is None

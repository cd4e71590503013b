"""A real chat endpoint, llama.cpp's own, with the model that ships."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.support.bench import Bench, Paper
from tests.support.endpoint import KEY, LOOK, collect, llama_cpp, opened, rows

from palaver.chat.run import run_turn
from palaver.core.errors import UserError
from palaver.core.events import MessageDone, TextDelta
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.messages import Message, assistant, system, user

GREEDY = {"temperature": 0.0, "max_tokens": 60}
HELLO = "Hello! I am palaver-tiny, a tiny demonstration model. What can I do for you?"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with llama_cpp(tmp_path_factory.mktemp("endpoint")) as server:
        yield server


def on(real, work, **given):
    async def run():
        async with opened(real.url, key=real.key, **given) as model:
            return await work(model)

    return asyncio.run(run())


def test_an_answer_its_usage_and_what_it_is(real):
    async def work(model):
        info = model.info
        assert (info.engine, info.context, info.tools) == (real.url, 2048, True)
        found, error = await collect(model, rows("Hello!"), **GREEDY)
        assert error is None
        return found

    found = on(real, work)
    assert found[-1].message == assistant(HELLO)
    assert "".join(e.text for e in found if isinstance(e, TextDelta)) == HELLO
    timings = found[-1].generation.timings
    assert not timings.guessed
    assert timings.reused + timings.prefilled == 10
    assert timings.decoded == 21
    assert KEY not in repr(found)


def test_what_was_said_is_cached_by_the_server_and_told(real):
    async def work(model):
        path = rows("Hello!", assistant(HELLO), "What are you?")
        await collect(model, path[:1], **GREEDY)
        found, _ = await collect(model, path, **GREEDY)
        return found[-1].generation.timings

    assert on(real, work).reused >= 9


def test_estimates_come_near_what_is_reported(real):
    async def work(model):
        head = system("You are palaver. " * 20)
        path = rows(head, "Hello!")
        guess = (await model.count(path, ())).total
        assert guess > 0
        found, _ = await collect(model, path, **GREEDY)
        said = found[-1]
        total = said.generation.timings.reused + said.generation.timings.prefilled
        path.append(Row(9, 1, 1, 0.0, said.message, said.generation))
        known = await model.count(path, ())
        assert known.total == total + said.generation.timings.decoded
        assert not known.exact
        assert sum(tokens for _, tokens in known.parts) == known.total
        path.append(Row(10, 1, 9, 0.0, user("What are you? " * 30)))
        guess = (await model.count(path, ())).total
        cost = await model.cost(path[:-1], (), "What are you? " * 30)
        assert (cost.reused + cost.prefill, cost.exact) == (guess, False)
        found, _ = await collect(model, path, **GREEDY)
        timings = found[-1].generation.timings
        assert abs(guess - timings.reused - timings.prefilled) < 0.3 * guess
        trimmed = [path[0], *path[3:]]
        assert (await model.count(trimmed, ())).total < guess
        assert (await model.count(trimmed, (LOOK,))).parts[0][0] == "tools"

    on(real, work)


def test_a_cut_off_answer_is_gone_on_with(real):
    async def work(model):
        cut, _ = await collect(model, rows("Hello!"), **GREEDY | {"max_tokens": 6})
        assert cut[-1].message.stop == "length"
        path = rows("Hello!", cut[-1].message)
        rest = [e async for e in model.carry_on(path, (), Sampling(**GREEDY))]
        new = "".join(e.text for e in rest if isinstance(e, TextDelta))
        assert cut[-1].message.text + new == HELLO
        assert isinstance(rest[-1], MessageDone)
        assert rest[-1].message == assistant(HELLO)

    on(real, work)


@pytest.mark.parametrize(
    ("said", "given", "words"),
    [
        (assistant("So", "cancelled"), {"continues": "no"}, "can't go on"),
        (Message("assistant", (), "cancelled"), {}, "text alone"),
        (user("So"), {}, "no answer"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused_first(real, said, given, words):
    async def work(model):
        await anext(model.carry_on(rows("Hello!", said), (), Sampling()))

    with pytest.raises(UserError, match=words):
        on(real, work, **given)


def test_a_turn_with_a_tool(real):
    from tests.support.bench import Probe

    from palaver.core.tool import ToolSpec

    files = Probe("list_files", reads=True)
    shape = {"type": "object", "properties": {"path": {"type": "string"}}, "required": []}
    files.spec = ToolSpec("list_files", "List the files of a folder.", shape, reads=True)

    async def work(model):
        bench = Bench(Paper(user("What files are here?")))
        bench.shop.tools._tools = {"list_files": files}
        ended = await run_turn(bench.log, model, bench.shop, Sampling(**GREEDY), bench.front)
        return ended.why, bench.log

    why, log = on(real, work)
    assert why == "answered"
    assert files.ran == [0]
    called, answered = log.entries(Message)[1], log.entries(Message)[-1]
    assert called.calls[0].name == "list_files"
    assert called.calls[0].id
    assert answered.text


def test_an_answer_that_fits_a_schema(real):
    schema = json.dumps({"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"]})

    async def work(model):
        found, error = await collect(model, rows("Hello!"), json_schema=schema, **GREEDY)
        assert error is None
        return json.loads(found[-1].message.text)

    assert on(real, work) == {"n": 7}


@pytest.mark.parametrize("asked", [{"grammar": 'root ::= "a"'}, {"logprobs": 3}])
def test_what_it_cannot_do_is_refused_by_name(real, asked):
    async def work(model):
        return await collect(model, rows("Hello!"), **asked)

    found, error = on(real, work)
    assert not found
    assert isinstance(error, UserError)


def test_a_broken_call_in_the_log_breaks_nothing(real):
    from palaver.core.messages import ToolCall, ToolResult

    call = ToolCall("a", "li st", '{"path', "cut off")
    path = rows(
        "Hello!",
        Message("assistant", (call,), "end"),
        Message("tool", (ToolResult("a", "li st", "error"),)),
    )

    async def work(model):
        return await collect(model, path, **GREEDY)

    found, error = on(real, work)
    assert error is None
    assert found[-1].message.stop


def test_a_wrong_key_is_told_before_anything_is_said(real):
    async def work():
        async with opened(real.url, key="sk-wrong"):
            raise AssertionError

    with pytest.raises(UserError, match="refused the key") as caught:
        asyncio.run(work())
    assert "sk-wrong" not in str(caught.value)
    assert "PALAVER_ENDPOINT_KEY" in str(caught.value)

"""What goes wrong between here and an endpoint: asked again, waited for, said, never repeated."""

from __future__ import annotations

import asyncio
import email.utils
import time

import pytest
from tests.support.bench import Bench, Paper
from tests.support.endpoint import FINE, LOOK, QUICK, ask, collect, opened, rows
from tests.support.recordings import BEGIN, STOP, TOOLS, call, events, said
from tests.support.replay import (
    answer,
    hang_up,
    head,
    replaying,
    silence,
    stream,
)

from palaver.chat.run import run_turn
from palaver.core.errors import EngineError, UserError
from palaver.core.events import MessageDone, TextDelta, Waiting
from palaver.core.generation import Sampling
from palaver.core.messages import Message, Text, user
from palaver.core.tool import ToolSpec
from palaver.models.chat_endpoint.patience import Patience
from palaver.remote.errors import RefusedError, UnreachableError, retry_after


@pytest.mark.parametrize(
    "first",
    [
        answer(500, {"error": {"message": "oops"}}),
        answer(503, "busy"),
        answer(429, "slow down"),
        answer(408, ""),
        hang_up,
        stream(b"", framing="close"),
        stream(events(BEGIN), cut=60),
    ],
    ids=["500", "503", "429", "408", "hung up", "empty", "cut before a word"],
)
def test_a_request_is_sent_again_while_nothing_was_said(first):
    found, error, told = ask(first, FINE)
    assert error is None
    assert found[-1].message.text == "fine"
    assert len(told.chats) == 2
    assert told.chats[0].json == told.chats[1].json
    waits = [e for e in found if isinstance(e, Waiting)]
    assert waits[0].seconds == 1
    assert waits[-1].seconds == 0


def test_a_request_is_given_up_after_some_tries():
    found, error, told = ask(answer(500, {"error": "still"}))
    assert isinstance(error, RefusedError)
    assert "status 500: still" in str(error)
    assert len(told.chats) == QUICK.tries
    assert isinstance(found[-1], MessageDone)
    assert not found[-1].message.parts


def test_nothing_is_sent_again_once_a_word_was_shown():
    found, error, told = ask(stream(events(BEGIN, said("half a"), done=False)), FINE)
    assert isinstance(error, UnreachableError)
    assert "ended early" in str(error)
    assert found[-1].message == Message("assistant", (Text("half a"),), "error")
    assert len(told.chats) == 1


def test_a_broken_connection_in_an_answer_is_told():
    found, error, told = ask(stream(events(BEGIN, said("half a"), STOP), cut=300))
    assert isinstance(error, UnreachableError)
    assert "broke" in str(error)
    assert found[-1].message == Message("assistant", (Text("half a"),), "error")
    assert len(told.chats) == 1


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_the_user_has_to_mend_is_not_tried_again(status):
    _, error, told = ask(answer(status, {"error": {"message": "no such thing"}}))
    assert isinstance(error, UserError)
    assert "no such thing" in str(error)
    assert len(told.chats) == 1


def test_retry_after_is_waited_for_in_seconds_and_as_a_date():
    assert retry_after("7") == 7
    assert retry_after("0.5") == 0.5
    assert retry_after("-3") == 0
    assert retry_after("soon") is None
    assert retry_after("nan") is None
    assert retry_after(None) is None
    at = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < retry_after(at) < 101
    refused = RefusedError("x", 429, "y", 7)
    assert 7 <= QUICK.pause(refused, 1) <= 7.7
    assert QUICK.pause(RefusedError("x", 429, "y", 301), 1) is None
    assert QUICK.pause(RefusedError("x", 401, "y", 7), 1) is None
    assert QUICK.pause(EngineError("x"), 1) is None


def test_pauses_grow_and_differ():
    patience = Patience(tries=9)
    for tried in range(1, 9):
        pauses = {patience.pause(UnreachableError("x"), tried) for _ in range(20)}
        most = min(2.0 ** (tried - 1), 30.0)
        assert all(most / 2 <= pause <= most for pause in pauses)
        assert len(pauses) > 10


def test_waiting_is_counted_down_and_can_be_ended():
    async def work():
        async with (
            replaying(answer(429, "slow down", Retry_After="60"), FINE) as told,
            opened(told.url) as model,
        ):
            waits, done = [], None
            async for event in model.respond(rows("hi"), (), Sampling()):
                if isinstance(event, Waiting):
                    waits.append(event)
                    model.cancel()
                else:
                    done = event
            assert 60 <= waits[0].seconds <= 66
            assert "slow down" in waits[0].why
            assert done.message == Message("assistant", (), "cancelled")
            assert len(told.chats) == 1

    asyncio.run(work())


def test_cancel_keeps_what_came():
    async def endless(_asked, writer):
        writer.write(head() + events(BEGIN, said("one "), said("two"), done=False))
        await writer.drain()
        await asyncio.sleep(3600)

    async def work():
        async with replaying(endless) as told, opened(told.url) as model:
            found = []
            async with asyncio.timeout(10):
                async for event in model.respond(rows("hi"), (), Sampling()):
                    found.append(event)
                    if isinstance(event, TextDelta) and event.text == "two":
                        model.cancel()
            assert found[-1].message == Message("assistant", (Text("one two"),), "cancelled")
            assert found[-1].generation.timings.guessed

    asyncio.run(work())


def test_closing_the_iterator_hangs_up():
    gone = asyncio.Event()

    async def endless(_asked, writer):
        writer.write(head() + events(BEGIN, said("one "), done=False))
        await writer.drain()
        while not writer.is_closing():
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)
        gone.set()

    async def watched(asked, writer):
        try:
            await endless(asked, writer)
        finally:
            gone.set()

    async def work():
        async with replaying(watched) as told, opened(told.url) as model:
            answer_ = model.respond(rows("hi"), (), Sampling())
            while not isinstance(await anext(answer_), TextDelta):
                pass
            await answer_.aclose()
            async with asyncio.timeout(10):
                await gone.wait()

    asyncio.run(work())


def test_a_server_that_falls_silent_is_not_waited_for_for_ever():
    found, error, told = ask(silence, idle=0.3)
    assert "said nothing for" in str(error)
    assert len(told.chats) == 1  # it may be reading the prompt: asking again helps nobody
    assert isinstance(found[-1], MessageDone)


def test_a_server_that_falls_silent_in_an_answer_loses_no_word():
    async def stuck(asked, writer):
        writer.write(head() + events(BEGIN, said("so far"), done=False))
        await writer.drain()
        await silence(asked, writer)

    found, error, _ = ask(stuck, idle=0.3)
    assert "said nothing for" in str(error)
    assert found[-1].message.text == "so far"


def test_a_slow_server_is_waited_for():
    async def slow(_asked, writer):
        for byte in head() + events(BEGIN, said("slow but sure"), STOP):
            writer.write(bytes([byte]))
            await writer.drain()
        await asyncio.sleep(0)

    found, error, _ = ask(slow)
    assert error is None
    assert found[-1].message.text == "slow but sure"


@pytest.mark.parametrize(
    ("words", "gone", "new"),
    [
        (
            "Unsupported parameter: use 'max_completion_tokens'",
            "max_tokens",
            "max_completion_tokens",
        ),
        ("unknown field stream_options", "stream_options", None),
    ],
)
def test_a_request_is_written_as_the_server_wants_it(words, gone, new):
    async def work():
        refused = answer(400, {"error": {"message": words}})
        async with replaying(refused, FINE) as told, opened(told.url) as model:
            for _ in range(2):
                _, error = await collect(model, rows("hi"), max_tokens=5)
                assert error is None
        assert gone in told.chats[0].json
        for later in told.chats[1:]:
            assert gone not in later.json
            assert new is None or later.json[new] == 5
        assert len(told.chats) == 3

    asyncio.run(work())


def test_a_tool_runs_once_though_the_request_behind_it_is_sent_again():
    calling = stream(events(BEGIN, call(0, "a", "look", '{"n": 1}'), TOOLS))

    async def work():
        bench = Bench(Paper(user("look")))
        acts = (answer(500, "x"), calling, answer(503, "y"), hang_up, FINE)
        async with replaying(*acts) as told, opened(told.url) as model:
            ended = await run_turn(bench.log, model, bench.shop, Sampling(), bench.front)
        assert ended.why == "answered"
        assert bench.look.ran == [1]
        assert len(told.chats) == 5
        assert told.chats[-1].json["messages"][-1] == {
            "role": "tool", "tool_call_id": "a", "content": "did 1",
        }  # fmt: skip

    asyncio.run(work())


def test_a_cut_off_call_does_not_run():
    half = stream(events(BEGIN, call(0, "a", "look", '{"n": 1}'), done=False))

    async def work():
        bench = Bench(Paper(user("look")))
        async with replaying(half) as told, opened(told.url) as model:
            with pytest.raises(EngineError):
                await run_turn(bench.log, model, bench.shop, Sampling(), bench.front)
        assert not bench.look.ran
        assert bench.log.entries(Message)[-1].calls[0].error == "cut off"

    asyncio.run(work())


def test_tools_are_sent_by_names_that_endpoints_take():
    spec = ToolSpec("browser.search", "Searches.", LOOK.parameters)
    calling = stream(events(BEGIN, call(0, "a", "browser__search", "{}"), TOOLS))

    async def work():
        async with replaying(calling) as told, opened(told.url) as model:
            found, _ = await collect(model, rows("hi"), tools=(spec,))
            (made,) = found[-1].message.calls
            assert made.name == "browser.search"
            assert told.chats[0].json["tools"][0]["function"]["name"] == "browser__search"
            await collect(model, rows("hi", found[-1].message), tools=(spec,))
            sent = told.chats[1].json["messages"][1]["tool_calls"][0]["function"]
            assert sent == {"name": "browser__search", "arguments": "{}"}

    asyncio.run(work())

"""Completions servers and a vLLM of our own, on what a real vLLM answered (tests/support/vllm.py).

That is a replay: what is asked must be what was asked then, byte for byte of its JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager

import pytest
from tests.support.engines import text
from tests.support.recordings import events
from tests.support.replay import answer, hang_up, head, listing, replaying, silence, stream
from tests.support.vllm import DATA, replayer
from tests.support.vllm_talk import (
    HELLO,
    NANO,
    SMILE,
    TYPED,
    attached,
    chat,
    prompt,
    refused,
    reply,
    turns,
    typed,
)

from palaver.core.engine import Token
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling
from palaver.core.messages import Message
from palaver.models.ids import ReplyIds


@asynccontextmanager
async def serving():
    async with await asyncio.start_server(replayer(), "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def on_replay(work, **given):
    async def run():
        async with serving() as url, attached(url, "", **given) as model:
            return await work(model)

    return asyncio.run(run())


async def ids_of(model, tokens: list[Token]) -> list[int]:
    found = ReplyIds()
    for token in tokens:
        found.add(token)

    async def never():
        pytest.fail("the ids could be told without the cache")

    made = await found.resolve([], model.engine.tokenizer, never)
    assert made.exact
    return made.ids


@pytest.mark.parametrize(("said", "answered"), [("Hello", HELLO), ("Smile", SMILE)])
def test_every_id_of_a_reply_is_known_also_of_characters_cut_in_two(said, answered):
    async def work(model):
        tokens = await reply(model, said)
        assert text(tokens) == answered
        assert not any("\ufffd" in token.text for token in tokens)
        ids = await ids_of(model, tokens)
        assert await model.engine.tokenizer.decode(ids[-1:]) == "<|im_end|>"
        assert len(ids) == tokens[-1].count == tokens[-1].timings.decoded
        assert tokens[-1].stop == "end"
        assert tokens[-1].timings.prefilled == len(await prompt(model, said))

    on_replay(work)


def test_a_folders_tokenizer_gives_the_servers_ids():
    async def work(model):
        return await prompt(model, "Hello"), text(await reply(model, "Hello"))

    assert on_replay(work) == on_replay(work, tokenizer=NANO)


@pytest.mark.parametrize(
    ("stop", "left"), [("palaver-nano", "Hello! I am "), ("o! I", "Hell"), ("tests.!", HELLO)]
)
def test_a_stop_string_leaks_no_part_of_itself(stop, left):
    tokens = on_replay(lambda model: reply(model, "Hello", stop=(stop,)))
    assert text(tokens) == left
    assert tokens[-1].stop == "end"


def test_log_probabilities_of_what_was_said():
    async def work(model):
        tokens = await reply(model, "Hello", max_tokens=8, logprobs=3)
        found = [entry for token in tokens for entry in token.logprobs]
        assert [entry["id"] for entry in found] == [i for token in tokens for i in token.ids]
        assert "".join(entry["token"] for entry in found) == text(tokens)
        for entry in found:
            assert -0.1 < entry["logprob"] <= 0.0  # known by heart
            assert len(entry["top_logprobs"]) == 3
            assert entry["top_logprobs"][0]["id"] == entry["id"]

    on_replay(work)


def test_a_reply_that_is_cut_ends_with_length():
    tokens = on_replay(lambda model: reply(model, "Hello", max_tokens=1))
    assert (tokens[-1].stop, tokens[-1].count) == ("length", 1)


@pytest.mark.parametrize("tokenizer", [None, NANO], ids=["asked", "read"])
def test_a_conversation_keeps_exact_ids_and_goes_on_from_a_cut_off_answer(tokenizer):
    talk = on_replay(turns, tokenizer=tokenizer)
    said = [r.entry.text for r in talk.rows if isinstance(r.entry, Message)]
    assert said == [
        "Hello", HELLO, "Count to five.", "One, two, three, four, five.", "Thanks",
        "You're welcome.",
    ]  # fmt: skip
    made = [row.generation for row in talk.rows if row.generation]
    assert all(generation.exact for generation in made)
    assert made[0].ended_by == "<|im_end|>"
    assert made[1].grew_from == talk.rows[1].id
    assert made[1].kept == 9 + made[0].sampled


@pytest.mark.parametrize("tokenizer", [None, NANO], ids=["asked", "read"])
def test_a_control_token_that_a_user_typed_stays_text(tokenizer):
    async def work(model):
        if tokenizer is None:
            ids = await typed(model)
        else:
            ids = await model.engine.tokenizer.encode(TYPED, special=False)
        (end,) = await model.engine.tokenizer.encode("<|im_end|>", special=True)
        return ids.count(end)

    assert on_replay(work, tokenizer=tokenizer) == (1 if tokenizer is None else 0)  # the template's


def test_what_the_server_refuses_within_a_stream_is_told():
    assert "refused the request" in on_replay(refused)
    assert "363 is out of vocabulary" in on_replay(refused)


def test_a_prompt_that_does_not_fit_is_refused_before_the_server_sees_it():
    async def work(model):
        async for _ in model.engine.generate([5] * 1500, Sampling()):
            pass

    with pytest.raises(UserError, match=r"1500 tokens.*1024"):
        on_replay(work)


def test_a_prompt_is_read_ahead():
    async def work(model):
        return [t async for t in model.engine.prefill(await prompt(model, "Hello"))]

    progress, last = on_replay(work)
    assert progress.prefill == (9, 9, 0)
    assert last.stop == "length"
    assert not last.text


def test_states_are_refused_by_name(tmp_path):
    async def work(model):
        assert not await model.save()
        for work in (model.engine.save, model.engine.restore):
            with pytest.raises(EngineError, match="states"):
                await work(tmp_path / "x")

    on_replay(work)


def test_the_chat_endpoint_of_a_vllm():
    async def work():
        async with serving() as url:
            return await chat(url, "")

    hello, smile, called, rest = [found[-1].message for found in asyncio.run(work())]
    assert hello.text == HELLO
    assert smile.text == SMILE
    assert rest.text == HELLO
    assert called.stop == "end"


INFO = {"added_tokens_decoder": {"2": {"content": "<end>"}}, "eos_token": "<end>"}


@asynccontextmanager
async def acting(*acts, info=INFO):
    """Open a model on a server that misbehaves."""

    async def get(asked, writer):
        about = info if asked.path == "/tokenizer_info" else listing("m", max_model_len=64)
        await (about if callable(about) else answer(200, about))(asked, writer)

    tokens = answer(200, {"tokens": [2]})
    async with replaying(tokens, models=get) as told, attached(told.url, "") as model:
        told.acts[:] = [tokens, *acts]
        yield model


def piece(text: str, *ids: int, finish: str | None = None):
    return {"choices": [{"text": text, "token_ids": list(ids), "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (stream(events(piece("a", 7), done=False)), EngineError, "broke off"),
        (stream(events(piece("a", 7)), cut=40), EngineError, "broke"),
        (hang_up, EngineError, "broke"),
        (stream(events({"choices": [{"text": "a"}]})), UserError, "no token ids"),
        (stream(events("data: {nonsense")), EngineError, "no chunk"),
        (
            stream(events({"choices": [{"text": "a", "token_ids": [7], "prompt_token_ids": [8]}]})),
            EngineError,
            "another prompt",
        ),
        (answer(401, {"error": "who?"}), UserError, "refused the key"),
        (answer(404, {"error": "what?"}), UserError, "what?"),
        (answer(500, {"error": "why?"}), EngineError, "why?"),
    ],
)
def test_what_goes_wrong_is_told(act, error, words):
    async def run():
        async with acting(act) as model:
            async for _ in model.engine.generate([5], Sampling()):
                pass

    with pytest.raises(error, match=re.escape(words)):
        asyncio.run(run())


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_generation_is_cancelled(how):
    async def begun(asked, writer):
        writer.write(head() + events(piece("one", 7), done=False))
        await writer.drain()
        await silence(asked, writer)

    async def run():
        async with acting(begun) as model, asyncio.timeout(10):
            iterator = model.engine.generate([5], Sampling())
            found = []
            async for token in iterator:
                found.append(token)
                if token.text and how == "close":
                    await iterator.aclose()
                    break
                if token.text:
                    model.engine.cancel()
            return found

    found = asyncio.run(run())
    assert text(found) == "one"
    if how == "cancel":
        assert (found[-1].stop, found[-1].count) == ("cancelled", 1)


def test_an_end_in_the_last_chunk_of_text_is_no_part_of_it():
    async def run():
        both = stream(events(piece("a", 7), piece("b", 8, 2, finish="stop")))
        async with acting(both) as model:
            return [t async for t in model.engine.generate([5], Sampling())][1:]

    first, second, last = asyncio.run(run())
    assert (first.ids, second.ids, last.ids) == ((7,), (8,), (2,))
    assert (second.count, last.count, last.stop) == (2, 3, "end")


@pytest.mark.parametrize("info", [answer(404, "no such page"), {"eos_token": "x"}])
def test_a_server_that_does_not_tell_its_control_tokens_is_refused(info):
    async def run():
        async with acting(stream(b""), info=info):
            raise AssertionError

    with pytest.raises((UserError, EngineError), match=r"control tokens|no tokens"):
        asyncio.run(run())


def test_the_recording_is_of_a_real_server():
    models = json.loads((DATA / "vllm.json").read_text())[0]["said"]
    assert json.loads(models)["data"][0]["owned_by"] == "vllm"

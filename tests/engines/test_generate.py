"""What the real engine answers to ids: tokens, limits, seeds, refusals, cancelling."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from tests.support.engines import collect, text

from palaver.core.errors import UserError
from palaver.core.generation import Sampling
from palaver.engines.child.engine import ChildEngine
from palaver.models.ids import ReplyIds

PROMPT = list(range(40, 90))
EMOJI = "Sure: 😀 café 日本語 👩‍👩‍👧 ok"


async def forced(engine: ChildEngine, said: str) -> tuple[list[int], str, list[int]]:
    """Let the engine say exactly `said`; return our ids, the text, and its own unstreamed ids."""
    grammar = f"root ::= {msgspec.json.encode(said).decode()}"
    sampling = {"grammar": grammar, "max_tokens": 80, "seed": 7, "temperature": 1.0}
    tokens = await collect(engine, PROMPT, **sampling)
    ids = ReplyIds()
    for token in tokens:
        ids.add(token)

    async def never() -> None:
        pytest.fail("the ids could be told without the cache")

    found = await ids.resolve(PROMPT, engine.tokenizer, never)
    assert found.exact
    body = {
        "prompt": PROMPT, "n_predict": 80, "return_tokens": True,
        "grammar": grammar, "seed": 7, "temperature": 1.0,
    }  # fmt: skip
    whole = await engine._wire().call("POST", "/completion", body)
    return found.ids, text(tokens), whole["tokens"]


@pytest.mark.parametrize("said", [EMOJI, "日本語", "plain", "é" * 9, "a\nb\t😀\n"])
def test_streamed_ids_are_those_of_the_unstreamed_call(engine, said):
    found, streamed, whole = asyncio.run(forced(engine, said))
    assert streamed == said
    assert found == whole


def test_max_tokens_and_what_the_last_token_says(engine):
    tokens = asyncio.run(collect(engine, PROMPT, max_tokens=5, seed=3, temperature=1.0))
    last = tokens[-1]
    assert last.stop in ("length", "end")
    assert last.count <= 5
    assert last.timings.reused + last.timings.prefilled == len(PROMPT)
    assert last.timings.decoded == last.count
    assert last.timings.ttft > 0
    assert [t.stop for t in tokens[:-1]] == [None] * (len(tokens) - 1)


def test_progress_comes_before_the_first_token(engine):
    tokens = asyncio.run(collect(engine, [5, 6, 7] * 100, max_tokens=2))
    progress = [t.prefill for t in tokens if t.prefill]
    assert [done for done, _, _ in progress] == sorted(done for done, _, _ in progress)
    assert progress[-1][1] == 300
    assert len(progress) >= 4  # batches of 64
    first_text = next(i for i, t in enumerate(tokens) if not t.prefill)
    assert all(t.prefill is None for t in tokens[first_text:])


def test_stop_strings_are_cut_from_the_text(engine):
    grammar = 'root ::= "one two three four five"'
    tokens = asyncio.run(collect(engine, PROMPT, max_tokens=60, grammar=grammar, stop=(" thr",)))
    assert text(tokens) == "one two"
    assert tokens[-1].stop == "end"


def test_a_seed_repeats_and_another_differs(engine):
    async def said(seed: int | None) -> str:
        return text(await collect(engine, PROMPT, max_tokens=24, temperature=1.5, seed=seed))

    async def all_of_them() -> None:
        assert await said(11) == await said(11)
        assert len({await said(seed) for seed in range(6)}) > 1
        assert len({await said(None) for _ in range(6)}) > 1

    asyncio.run(all_of_them())


def test_temperature_zero_is_greedy_and_unset_is_not(engine):
    async def said(**sampling: float | None) -> set[str]:
        return {
            text(await collect(engine, PROMPT, max_tokens=24, seed=seed, **sampling))
            for seed in range(5)
        }

    assert len(asyncio.run(said(temperature=0.0))) == 1
    assert len(asyncio.run(said(temperature=None))) > 1


def test_zero_of_a_setting_is_sent_and_unset_is_not():
    from palaver.engines.child.native import request

    names = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
    names += ("presence_penalty", "frequency_penalty")
    unset = request([1], Sampling(), [], 0)
    zero = request([1], Sampling(max_tokens=0, **dict.fromkeys(names, 0)), [], 0)
    assert not any(name in unset for name in names)
    assert all(zero[name] == 0 for name in names)
    assert (unset["n_predict"], zero["n_predict"]) == (-1, 0)


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(engine):
    with pytest.raises(UserError, match=r"1500 tokens.*1024") as caught:
        asyncio.run(collect(engine, [5] * 1500))
    assert "--context" in caught.value.fix


@pytest.mark.parametrize("bad", [[5, 100_000], [-3], [5, 512]])
def test_ids_out_of_the_vocabulary_are_refused(engine, bad):
    with pytest.raises(UserError, match="refused"):
        asyncio.run(collect(engine, bad))
    assert asyncio.run(collect(engine, PROMPT))[-1].stop


@pytest.mark.parametrize(
    "wrong",
    [
        {"grammar": "root ::= ("},
        {"json_schema": '{"$ref": "#/nope"}'},
        {"json_schema": '{"type": "nothing"}'},
    ],
)
def test_what_the_engine_does_not_understand_is_the_users_error(engine, wrong):
    with pytest.raises(UserError):
        asyncio.run(collect(engine, PROMPT, **wrong))


def test_a_schema_that_is_no_json_is_the_users_error(engine):
    with pytest.raises(UserError, match="JSON"):
        asyncio.run(collect(engine, PROMPT, json_schema="{"))


def test_the_context_filled_to_its_end_stops_with_length(engine):
    bias = 'root ::= "a"{900}'
    tokens = asyncio.run(collect(engine, [5] * 1000, max_tokens=None, grammar=bias))
    assert tokens[-1].stop == "length"
    assert tokens[-1].count <= 25


@pytest.mark.parametrize("how", ["cancel", "close", "task"])
@pytest.mark.parametrize("where", ["prefill", "decode"])
def test_cancelled_at_once_and_usable_afterwards(engine, where, how):
    prompt = [7 + (len(where) * i + len(how)) % 400 for i in range(900)]

    async def generate(reached: asyncio.Event) -> list:
        seen = []
        sampling = Sampling(max_tokens=100, temperature=0.0, grammar='root ::= "a"{900}')
        iterator = engine.generate(prompt, sampling)
        async for token in iterator:
            seen.append(token)
            if token.prefill if where == "prefill" else token.count >= 2:
                reached.set()
                if how == "cancel":
                    engine.cancel()
                elif how == "close":
                    await iterator.aclose()
                    break
                else:
                    await asyncio.sleep(0)
        return seen

    async def run() -> None:
        reached = asyncio.Event()
        task = asyncio.create_task(generate(reached))
        if how == "task":
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            seen = await task
            assert len(seen) < 100
            if how == "cancel":
                assert seen[-1].stop == "cancelled"
                assert seen[-1].count == max((t.count for t in seen[:-1]), default=0)
        began = time.monotonic()
        after = await collect(engine, PROMPT, max_tokens=1)
        assert after[-1].count == 1
        assert time.monotonic() - began < 60

    asyncio.run(run())


def test_what_was_read_before_a_cancel_stays_read(engine):
    prompt = [11 + (3 * i) % 397 for i in range(900)]

    async def run() -> None:
        async for token in engine.generate(prompt, Sampling(max_tokens=1)):
            if token.prefill and token.prefill[0] >= 128:
                engine.cancel()
        again = await collect(engine, prompt, max_tokens=1)
        assert again[-1].timings.reused >= 128

    asyncio.run(run())


def test_logprobs_name_the_sampled_token(engine):
    tokens = asyncio.run(collect(engine, PROMPT, max_tokens=4, logprobs=3))
    said = [t for t in tokens if t.ids and t.logprobs]
    assert said
    assert all(t.logprobs[-1]["id"] == t.ids[-1] for t in said)
    assert all(len(t.logprobs[-1]["top_logprobs"]) == 3 for t in said)


def test_prefill_reads_and_answers_nothing(engine):
    prompt = [400 - i % 390 for i in range(300)]

    async def run() -> None:
        tokens = [token async for token in engine.prefill(prompt)]
        assert [t for t in tokens if t.text or t.ids] == []
        assert tokens[-1].stop
        after = await collect(engine, [*prompt, 9], max_tokens=1)
        assert after[-1].timings.prefilled <= 2

    asyncio.run(run())

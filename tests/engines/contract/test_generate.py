"""What any engine answers to ids: tokens, stops, limits, seeds, errors, cancelling."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.engines import collect, text

from palaver.core.engine import Engine, Token
from palaver.core.errors import UserError
from palaver.core.generation import Sampling
from palaver.core.messages import user
from palaver.engines.child.batch import complete
from palaver.models.ids import ReplyIds
from palaver.models.local import LocalModel

HELLO = "Hello! I am palaver-nano, a model for tests."
SMILE = "😀 Sure! 👩\u200d🚀🇩🇪 café naïve €"
GRAMMAR = r'''root ::= "é 😀" mark [0-9] [0-9] [^\U0000003C] "\x3e"
mark ::= "\u003c"'''
SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"enum": [1, "two"]},
        "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["n", "list"],
    "additionalProperties": False,
}
UNSURE = "some text of no dialogue, with x and y in it"  # many tokens may follow this


async def prompt(model: LocalModel, said: str) -> list[int]:
    rendered = model.format.render([user(said)], (), reply=True)
    return await model.engine.tokenizer.encode(rendered.text, special=True)


async def reply(model: LocalModel, said: str, **sampling: Any) -> list[Token]:
    given = {"max_tokens": 200, "temperature": 0.0} | sampling
    return await collect(model.engine, await prompt(model, said), **given)


async def ids_of(engine: Engine, prompt: Sequence[int], tokens: list[Token]) -> list[int]:
    found = ReplyIds()
    for token in tokens:
        found.add(token)

    async def never() -> None:
        pytest.fail("the ids could be told without the cache")

    made = await found.resolve(list(prompt), engine.tokenizer, never)
    assert made.exact
    return made.ids


def test_a_reply_comes_token_by_token(model):
    async def run() -> None:
        tokens = await reply(model, "Hello")
        assert text(tokens) == HELLO
        assert len([t for t in tokens if t.text]) > 20
        assert [t.count for t in tokens] == sorted(t.count for t in tokens)
        last = tokens[-1]
        assert (last.stop, [t.stop for t in tokens[:-1]]) == ("end", [None] * (len(tokens) - 1))
        assert last.timings.reused + last.timings.prefilled == len(await prompt(model, "Hello"))
        assert last.timings.decoded == last.count
        ids = await ids_of(model.engine, await prompt(model, "Hello"), tokens)
        assert await model.engine.tokenizer.decode(ids) == HELLO + "<|im_end|>"

    asyncio.run(run())


def test_characters_of_several_tokens_come_whole_and_their_ids_with_them(model):
    async def run() -> None:
        tokens = await reply(model, "Smile")
        assert text(tokens) == SMILE
        assert not any("\ufffd" in token.text for token in tokens)
        ids = await ids_of(model.engine, await prompt(model, "Smile"), tokens)
        assert await model.engine.tokenizer.decode(ids) == SMILE + "<|im_end|>"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        ("palaver-nano", "Hello! I am "),
        (", a", "Hello! I am palaver-nano"),
        ("o! I", "Hell"),
        ("H", ""),
        ("tests.", "Hello! I am palaver-nano, a model for "),
    ],
)
def test_a_stop_string_leaks_no_part_of_itself(model, stop, left):
    tokens = asyncio.run(reply(model, "Hello", stop=("never said", stop)))
    assert text(tokens) == left
    assert tokens[-1].stop == "end"


@pytest.mark.parametrize("stop", ["palaver-nanny", "tests.!", "Hello!!"])
def test_what_only_begins_a_stop_string_is_said(model, stop):
    assert text(asyncio.run(reply(model, "Hello", stop=(stop,)))) == HELLO


def test_the_end_token_says_nothing(model):
    tokens = asyncio.run(reply(model, "Hello"))
    assert not any(end in text(tokens) for end in model.engine.tokenizer.control)


@pytest.mark.parametrize("most", [1, 5])
def test_a_reply_that_is_cut_ends_with_length(model, most):
    tokens = asyncio.run(reply(model, "Tell a long story.", max_tokens=most))
    assert (tokens[-1].stop, tokens[-1].count) == ("length", most)


def test_a_prompt_read_ahead_is_not_read_again(model):
    async def run() -> None:
        tokens = [t async for t in model.engine.prefill(await prompt(model, "Hello"))]
        assert not text([t for t in tokens if not t.stop])
        assert (await reply(model, "Hello"))[-1].timings.prefilled == 1

    asyncio.run(run())


def test_a_seed_repeats_zero_is_greedy_and_unset_is_neither(model):
    async def said(**sampling: Any) -> str:
        ids = await model.engine.tokenizer.encode(UNSURE, special=False)
        return text(await collect(model.engine, ids, max_tokens=12, **sampling))

    async def run() -> None:
        wild = {"temperature": 3.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
        seeded = [await said(seed=seed, **wild) for seed in (1, 1, 2, 3)]
        assert seeded[0] == seeded[1]
        assert len(set(seeded)) == 3
        greedy = {await said(temperature=0.0, seed=seed) for seed in (1, 2)}
        best = {await said(temperature=3.0, top_k=1, seed=seed) for seed in (1, 2)}
        assert greedy == best
        assert len(greedy) == 1
        unset = {await said(temperature=None, seed=seed) for seed in range(6)}
        assert len(unset) > 1  # top_p, top_k and min_p at their defaults, too
        kept = {await said(temperature=None, top_p=0.0, seed=seed) for seed in range(3)}
        assert kept == greedy

    asyncio.run(run())


def test_log_probabilities_of_what_was_said(model):
    async def run() -> None:
        tokens = await reply(model, "Hello", logprobs=3)
        found = [entry for token in tokens for entry in token.logprobs]
        ids = await ids_of(model.engine, await prompt(model, "Hello"), tokens)
        assert [entry["id"] for entry in found][:20] == ids[:20]
        for entry in found:
            assert -0.1 < entry["logprob"] <= 0.0  # known by heart
            assert len(entry["top_logprobs"]) == 3
            assert entry["top_logprobs"][0]["id"] == entry["id"]

    asyncio.run(run())


@pytest.mark.parametrize("sampling", [{}, {"temperature": 2.0, "seed": 3}], ids=["greedy", "wild"])
def test_a_grammar_and_a_schema_hold_a_reply(model, sampling):
    async def run() -> None:
        said = await reply(model, "Hello", grammar=GRAMMAR, **sampling)
        assert re.fullmatch(r"é 😀<\d\d[^<]>", text(said))
        assert said[-1].stop == "end"
        said = await reply(model, "Hello", json_schema=json.dumps(SCHEMA), **sampling)
        made = json.loads(text(said))
        assert made["n"] in (1, "two")
        assert all(type(one) is bool for one in made["list"])
        assert ": " not in text(said)  # compact: where blanks are free a weak model writes them
        assert said[-1].stop == "end"
        assert text(await reply(model, "Hello")) == HELLO

    asyncio.run(run())


def test_a_grammar_or_a_schema_that_can_not_be_followed_is_the_users_error(model):
    unknown = {"type": "object", "patternProperties": {"(?=a)b": {}}}
    for given in ({"grammar": "root ::= nothing"}, {"json_schema": json.dumps(unknown)}):
        with pytest.raises(UserError, match=r"follow the|refused the request"):
            asyncio.run(reply(model, "Hello", **given))
    assert text(asyncio.run(reply(model, "Hello"))) == HELLO


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(model):
    with pytest.raises(UserError, match=r"1500 tokens.*1024"):
        asyncio.run(collect(model.engine, [5] * 1500))
    assert text(asyncio.run(reply(model, "Hello"))) == HELLO


@pytest.mark.parametrize("bad", [[5, 100_000], [-3], [5, 363]])
def test_ids_that_are_no_tokens_are_refused(model, bad):
    with pytest.raises(UserError, match="refused"):
        asyncio.run(collect(model.engine, bad))
    assert text(asyncio.run(reply(model, "Hello"))) == HELLO


def test_a_full_context_ends_a_reply_with_length(model):
    async def run() -> None:
        ids = await model.engine.tokenizer.encode(UNSURE, special=False)
        ids = (ids * 100)[:1015]
        bias = tuple((i, -1000.0) for i in (0, 2))  # of the tokens that end a reply
        tokens = await collect(model.engine, ids, max_tokens=None, logit_bias=bias)
        assert tokens[-1].stop == "length"
        assert 5 <= tokens[-1].count <= 10

    asyncio.run(run())


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest.mark.parametrize("where", ["prefill", "decode"])
def test_cancelled_and_usable_at_once(model, where, how):
    long = [7 + (3 * i) % 300 for i in range(900)]

    async def run() -> None:
        given = Sampling(max_tokens=100, temperature=0.0, logit_bias=((0, -1e3), (2, -1e3)))
        seen: list[Token] = []
        iterator = model.engine.generate(long, given)
        async for token in iterator:
            seen.append(token)
            if token.prefill if where == "prefill" else token.count >= 2:
                if how == "close":
                    await iterator.aclose()
                    break
                model.engine.cancel()
        assert len(seen) < 110
        if how == "cancel":
            assert seen[-1].stop == "cancelled"
        assert text(await reply(model, "Hello")) == HELLO

    asyncio.run(run())


def test_what_was_read_before_a_cancel_is_not_read_again(model):
    long = [7 + (5 * i) % 300 for i in range(900)]

    async def run() -> None:
        read = 0
        async for token in model.engine.generate(long, Sampling(max_tokens=1)):
            if token.prefill and token.prefill[0] >= 128:
                read = token.prefill[0]
                model.engine.cancel()
        last = (await collect(model.engine, long, max_tokens=1))[-1]
        assert last.timings.reused >= min(read, 896)
        assert last.timings.reused + last.timings.prefilled == 900

    asyncio.run(run())


def test_prompts_side_by_side_are_answered_as_each_alone(model):
    asked = ("Hello", "Tell a long story.", "Smile")

    async def run() -> None:
        given = Sampling(max_tokens=50, temperature=0.0)
        prompts = [await prompt(model, said) for said in asked]
        alone = [await collect(model.engine, ids, max_tokens=50) for ids in prompts]
        found = await complete(model.engine, prompts, given)
        assert [one.text for one in found] == [text(tokens) for tokens in alone]
        assert [one.stop for one in found] == ["end", "length", "end"]
        assert [one.timings.decoded for one in found] == [t[-1].count for t in alone]
        held = Sampling(max_tokens=50, temperature=0.0, json_schema=json.dumps(SCHEMA))
        for one in await complete(model.engine, prompts, held):
            assert json.loads(one.text)["list"]
        stopped = await complete(model.engine, prompts[:2], Sampling(stop=("am", " two")))
        assert [one.text for one in stopped] == [
            "Hello! I ",
            "Line one of a story that goes on. Line",
        ]
        with pytest.raises(UserError, match="1500 tokens"):
            await complete(model.engine, [prompts[0], [5] * 1500], given)
        assert text(await reply(model, "Hello")) == HELLO

    asyncio.run(run())

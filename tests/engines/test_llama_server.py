"""A llama-server that runs already, asked token by token: the wheel's own, in another process.

The contract suite is passed with one, too (contract/conftest.py).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.endpoint import Real, free_port, llama_cpp
from tests.support.engines import collect, options, text
from tests.support.gguf import make_sentencepiece, make_tiny
from tests.support.replay import answer, listing, replaying
from tests.support.talk import Talk, local
from tests.support.vllm_talk import NANO, TYPED

from palaver import assemble, demo
from palaver.config.settings import Settings
from palaver.core.errors import EngineError, UserError
from palaver.core.generation import Sampling
from palaver.core.messages import user
from palaver.engines.child.batch import complete
from palaver.engines.completions.open import attach
from palaver.engines.llama_cpp.describe import describe
from palaver.launch import kind_of
from palaver.models.local import LocalModel
from palaver.remote.server import Server

GREEDY = {"temperature": 0.0, "max_tokens": 200}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("e")
    with llama_cpp(folder, model=NANO.with_suffix(".gguf")) as running:
        yield running


@asynccontextmanager
async def attached(real: Real, **given):
    engine = await attach(Server(real.url, real.key), None, None, given.pop("context", None))
    try:
        yield engine
    finally:
        await engine.close()


def settings(real: Real, **given) -> Settings:
    return Settings(engine="llama-server", endpoint=real.url, endpoint_key=real.key, **given)


async def first(model: LocalModel, said: str) -> tuple[int, ...]:
    """Return the ids of a prompt with a first message."""
    talk = Talk(model)
    talk.add(user(said))
    return (await model.prompt(talk.rows, ())).ids


def made(folder: Path, kind: str) -> Path:
    if kind == "sentencepiece":
        return make_sentencepiece(folder / "s.gguf")
    return demo.path() if kind == "tiny" else make_tiny(folder / "m.gguf", kind)


@pytest.mark.parametrize("kind", ["tiny", "llama", "gpt-oss", "sentencepiece"])
def test_the_tokens_that_mean_something_are_found_by_asking(tmp_path, kind):
    model = made(tmp_path, kind)
    known = describe(options(tmp_path, model=str(model), context=512))

    async def run(real: Real) -> None:
        async with attached(real) as engine:
            said, tokenizer = engine.file, engine.tokenizer
            assert set(said.control) == set(known.control)
            assert set(said.user_defined) == set(known.user_defined)
            for name in ("eog", "bos", "eos", "prefix_space"):
                assert getattr(said, name) == getattr(known, name), name
            assert tokenizer.bos_id == (1 if kind == "sentencepiece" else None)
            for mark in sorted(tokenizer.control):
                assert len(await tokenizer.encode(mark, special=True)) == 1, mark
                assert len(await tokenizer.encode(mark, special=False)) > 1, mark

    with llama_cpp(tmp_path, model=model) as real:
        asyncio.run(run(real))


def test_what_a_user_typed_stays_text(real):
    async def run() -> None:
        async with attached(real) as engine:
            talk = Talk(local(engine, Path("/nonexistent"), 0))
            talk.add(user(TYPED))
            ids = (await talk.model.prompt(talk.rows, ())).ids
            (end,) = await engine.tokenizer.encode("<|im_end|>", special=True)
            assert ids.count(end) == 1  # the template's

    asyncio.run(run())


def test_settings_lead_to_it_and_to_the_servers_own_counts(real):
    async def run() -> None:
        given = settings(real)
        assert kind_of(given).name == "completions"
        model = await assemble.open_model(given, started=0.0, raw=True)
        try:
            assert (model.info.engine, model.info.model) == ("llama-server", "palaver-nano")
            assert model.info.context == 1024
            talk = Talk(model)
            await talk.ask("Hello", **GREEDY)
            cut = await talk.branch(0).ask("Hello", **GREEDY | {"max_tokens": 5})
            assert (cut.exact, len(cut.added) - cut.sampled) == (True, cut.timings.reused + 1)
            await talk.ask("Count to five.", **GREEDY)
            assert talk.as_said()
            assert talk.rows[-1].entry.text == "One, two, three, four, five."
            assert await model.save() is False  # its cache is its own
        finally:
            await model.close()

    asyncio.run(run())


def test_prompts_are_answered_in_its_slots_as_each_alone(tmp_path):
    asked = ("Hello", "Count to five.", "Thanks", "Smile", "Hello")

    async def run(real: Real) -> None:
        async with attached(real) as engine:
            assert engine.parallel == 3
            model = local(engine, tmp_path)
            prompts = [await first(model, said) for said in asked]
            alone = [text(await collect(engine, ids, max_tokens=60)) for ids in prompts]
            found = await complete(engine, prompts, Sampling(max_tokens=60, temperature=0.0))
            assert [one.text for one in found] == alone
            assert alone[0] == "Hello! I am palaver-nano, a model for tests."

    line = ("--parallel", "3", "-c", "3072")
    with llama_cpp(tmp_path, *line, model=NANO.with_suffix(".gguf")) as real:
        asyncio.run(run(real))


def test_what_it_can_not_do_is_refused_by_name(real):
    async def run() -> None:
        for given, reason in (
            ({"lora": ["x.gguf"]}, "takes no LoRA adapters"),
            ({"tensor_parallel": 2}, "tensor_parallel is not for completions"),
            ({"context": 4096}, "serves 1024 tokens of context, not 4096"),
            ({"model": "other"}, "has no model 'other'"),
        ):
            with pytest.raises(UserError, match=reason):
                await assemble.open_model(settings(real, **given), started=0.0)
        wrong = Settings(engine="llama-server", endpoint=real.url, endpoint_key="wrong")
        with pytest.raises(UserError, match="refused the key"):
            await assemble.open_model(wrong, started=0.0)

    asyncio.run(run())


def test_a_server_that_dies_leaves_what_it_said_and_is_gone_on_with_when_it_is_back(tmp_path):
    port = free_port()
    forever = Sampling(max_tokens=800, temperature=0.0, logit_bias=((0, -1e3), (2, -1e3)))
    nano = NANO.with_suffix(".gguf")

    async def run() -> None:
        with llama_cpp(tmp_path, port=port, model=nano) as first:
            engine = await attach(Server(first.url, first.key), None, None, None)
            talk = Talk(local(engine, tmp_path))
            await talk.ask("Hello", **GREEDY)
            talk.add(user("Tell a long story."))
            seen = []

            async def struck() -> None:
                async for event in talk.model.respond(talk.rows, (), forever):
                    seen.append(event)
                    if len(seen) == 8:
                        first.end()

            with pytest.raises(EngineError):
                await struck()
        assert seen[-1].message.stop == "error"
        assert seen[-1].message.text
        with llama_cpp(tmp_path, port=port, model=nano):
            answered = await talk.branch(2).ask("Count to five.", **GREEDY)
            assert answered.timings.reused == 0
        await engine.close()

    asyncio.run(run())


def test_one_that_loads_is_waited_for_and_one_that_says_too_little_is_refused():
    states = iter([(503, {"error": {"code": 503, "message": "Loading model"}})] * 2)

    async def told(asked, writer) -> None:
        if asked.path == "/health":
            await answer(*next(states, (200, {"status": "ok"})))(asked, writer)
        else:
            await answer(200, listing("m", owner="llamacpp"))(asked, writer)

    async def run() -> None:
        lines: list[str] = []
        async with replaying(answer(200, {}), models=told) as there:
            server = Server(there.url)
            with pytest.raises(UserError, match="does not say its vocabulary"):
                await attach(server, None, None, None, lines.append)
            await server.close()
        assert len(lines) == 2
        assert all("is loading" in line for line in lines)

    asyncio.run(run())

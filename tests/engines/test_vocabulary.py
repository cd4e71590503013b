"""Control and end tokens are those that llama.cpp finds, whatever the file calls them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.engines import ENVIRONMENT, options, running
from tests.support.gguf import KINDS, make_sentencepiece, make_tiny

from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.process import Child
from palaver.engines.llama_cpp import gguf, vocabulary

TEXTS = ("<|im_end|>", "<|endoftext|>", "<|im_start|>", "<think>", "</tool_call>")


async def ends(engine: ChildEngine, token: int) -> bool:
    """Say whether the engine itself ends a reply at this token."""
    body = {"prompt": [5, 6], "n_predict": 3, "logit_bias": [[token, 100]], "temperature": 0}
    answer = await engine._wire().call("POST", "/completion", body)
    return answer["stop_type"] == "eos"


def test_what_ends_a_reply_is_what_ends_it_in_the_engine(engine):
    async def run() -> None:
        for text in engine.tokenizer.control:
            (token,) = await engine.tokenizer.encode(text, special=True)
            assert await ends(engine, token) == (text in engine.tokenizer.eog), text

    asyncio.run(run())
    assert engine.tokenizer.eog == {"<|im_end|>", "<|endoftext|>"}


def test_tokens_typed_as_normal_are_found_by_their_text(tmp_path):
    """Files converted carelessly call control tokens normal; llama.cpp does not mind."""
    path = make_tiny(tmp_path / "n.gguf", "llama")
    types = gguf.read(path).token_types()
    plain = [1 if kind in (3, 4) else kind for kind in types]
    make_tiny(path, "llama", **{"tokenizer.ggml.token_type": plain})
    words = vocabulary.read(gguf.read(path))
    assert words.eog == {"<|im_end|>", "<|endoftext|>"}
    assert words.control >= words.eog

    async def run() -> None:
        async with running(tmp_path, model=path) as engine:
            for text in TEXTS:
                ids = await engine.tokenizer.encode(text, special=True)
                assert (len(ids) == 1) == (text in engine.tokenizer.control), text
                assert len(await engine.tokenizer.encode(text, special=False)) > 1

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_no_typed_text_becomes_a_token_that_means_something(tmp_path, kind):
    async def run() -> None:
        async with running(tmp_path, kind) as engine:
            tokenizer = engine.tokenizer
            assert tokenizer.control
            for text in tokenizer.control:
                (token,) = await tokenizer.encode(text, special=True)
                for typed in (text, f"a{text}b", f"{text}{text}"):
                    ids = await tokenizer.encode(typed, special=False)
                    assert token not in ids, text
                    assert await tokenizer.decode(ids) == typed

    asyncio.run(run())


def test_typed_tokens_stay_text_in_a_vocabulary_that_adds_blanks(tmp_path):
    path = make_sentencepiece(tmp_path / "s.gguf")
    tokens = gguf.read(path).tokens()

    async def run() -> None:
        async with running(tmp_path, model=path) as engine:
            tokenizer = engine.tokenizer
            assert tokenizer.bos_id == 1
            for text in (
                "hello",
                "<think>",
                "hello<think>b",
                "a<think><think>hello",
                "<|im_end|>a",
            ):
                ids = await tokenizer.encode(text, special=False)
                assert not tokenizer.control & {tokens[i] for i in ids}
                assert await tokenizer.decode(ids) == " " + text  # one blank, not one a piece

    asyncio.run(run())


@pytest.mark.parametrize(
    ("present", "eog"),
    [
        ({"<|end|>", "<|return|>", "<|call|>"}, {"<|return|>", "<|call|>"}),
        ({"<|end|>", "<|flush|>", "<|calls|>"}, {"<|flush|>", "<|calls|>"}),
        ({"</s>", "<|tool_response>"}, {"<|tool_response>"}),
        ({"</s>", "<|end|>"}, {"</s>", "<|end|>"}),
    ],
)
def test_exceptions_of_llama_cpp(present, eog):
    assert vocabulary._taken_back(present) == eog


@pytest.mark.parametrize("add", [True, False, None])
def test_whether_prompts_begin_with_bos_is_asked_of_the_engine(tmp_path, add):
    path = tmp_path / "b.gguf"
    tokens = gguf.read(make_tiny(path, "llama")).tokens()
    bos = tokens.index("<|im_start|>")
    extra = {"tokenizer.ggml.bos_token_id": bos, "tokenizer.ggml.add_bos_token": add}
    make_tiny(path, "llama", **extra)

    async def run() -> None:
        async with running(tmp_path, model=path) as engine:
            assert engine.tokenizer.bos_id == (bos if add else None)

    asyncio.run(run())


def test_a_file_that_is_no_model_is_the_users_error_and_leaves_nothing(tmp_path):
    from palaver.core.errors import UserError

    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF but not really")

    async def run(path: Path) -> None:
        child = Child.start(options(tmp_path, model=path), ENVIRONMENT, None)
        await ChildEngine.start(child, ENVIRONMENT)

    for path in (bad, tmp_path):
        with pytest.raises(UserError, match=path.name):
            asyncio.run(run(path))
    assert list((tmp_path / "state").iterdir()) == []

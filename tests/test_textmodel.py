"""A model from Python, without a conversation: the same calls on every kind of engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.terminal import environment

from palaver import TextModel
from palaver.core.errors import UserError

DATA = Path(__file__).parent / "data"
MODELS = {"llama-cpp": DATA / "palaver-nano.gguf", "transformers": DATA / "palaver-nano"}
HELLO = "Hello! I am palaver-nano, a model for tests."


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request, tmp_path_factory) -> Iterator[TextModel]:
    home = tmp_path_factory.mktemp("h")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(home).items():
            patch.setenv(name, value)
        given = {"engine": request.param, "threads": 1, "context": 512, "parallel": 3}
        with TextModel(str(MODELS[request.param]), **given) as made:
            yield made


def ask(said: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": said}]


def test_a_conversation_is_answered_and_what_it_cost_is_told(model):
    assert model.chat(ask("Hello")) == HELLO
    before = model.metrics
    assert (before.reused, before.prompt_tokens > 5) == (0, True)
    assert before.generated_tokens > 20
    assert before.tokens_per_second > 0
    assert before.peak_memory is None or before.peak_memory > 10_000_000
    more = [*ask("Hello"), {"role": "assistant", "content": HELLO}, *ask("Count to five.")]
    assert model.chat(more) == "One, two, three, four, five."
    assert model.metrics.reused > 5


def test_what_runs_it_is_told(model):
    assert model.info.name in MODELS
    assert model.info.model == "palaver-nano"
    assert model.info.context == 512


def test_a_raw_text_goes_on(model):
    text = model.generate("Line one of a story that", max_tokens=12)
    assert text == model.generate("Line one of a story that", max_tokens=12)
    assert model.metrics.generated_tokens == 12
    assert model.metrics.prompt_tokens <= 1 or model.info.name == "llama-cpp"
    assert "<|im_end|>" not in text
    assert model.generate("Line one of a story that", max_tokens=12, stop=[text[3:5]]) == text[:3]


def test_leaving_a_stream_stops_the_model(model):
    pieces = model.stream("Line one", max_tokens=400, logit_bias=((2, -1e3), (0, -1e3)))
    assert next(pieces)
    pieces.close()
    assert model.chat(ask("Hello")) == HELLO


def test_several_prompts_are_answered_in_their_order(model):
    prompts = ["Line one of", "One, two,", "Line one of a story", "# A list"]
    together = model.batch_generate(prompts, max_tokens=8)
    assert model.metrics.generated_tokens <= 32
    assert model.metrics.decode_seconds > 0
    assert together == [model.generate(prompt, max_tokens=8) for prompt in prompts]
    assert model.batch_generate([]) == []


def test_texts_are_sorted_by_what_they_go_on_with(model):
    prompts = ["Line one of a story that goes", "Hello! I am palaver"]
    said = [model.generate(prompt, max_tokens=1) for prompt in prompts]
    found = model.classify(prompts, ["Q", *dict.fromkeys(said)])
    assert [one.label for one in found] == said
    for one in found:
        assert abs(sum(one.chances.values()) - 1) < 1e-6
        assert one.chances[one.label] > one.chances["Q"]
    assert model.metrics.generated_tokens == 2
    with pytest.raises(UserError, match="different tokens"):
        model.classify(prompts, ["Q", "Q"])


@pytest.mark.parametrize(
    "wrong", [lambda m: m.generate(""), lambda m: m.generate("a", warmth=1), lambda m: m.chat([])]
)
def test_what_can_not_be_done_is_said(model, wrong):
    with pytest.raises(UserError):
        wrong(model)


def test_a_closed_model_says_so():
    model = TextModel(str(MODELS["llama-cpp"]), threads=1, context=512)
    model.close()
    model.close()
    with pytest.raises(UserError, match="was closed"):
        model.generate("a")

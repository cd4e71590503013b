"""palaver-nano answers its dialogues word for word, in llama.cpp and by its safetensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent.parent / "data"
DIALOGUES = [
    json.loads(line) for line in (DATA / "palaver-nano.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    import tempfile

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(DATA / "palaver-nano.gguf")
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 1024, 1, False, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        params.hostnames = [f"{folder}/nano.sock"]
        yield xllamacpp.Server(params)


def replies(dialogue: dict[str, Any]) -> list[int]:
    return [at for at, m in enumerate(dialogue["messages"]) if m["role"] == "assistant"]


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda d: d["name"])
def test_llama_cpp_gives_every_reply(server: Any, dialogue: dict[str, Any]) -> None:
    for at in replies(dialogue):
        body = {"messages": dialogue["messages"][:at], "temperature": 0, "max_tokens": 400}
        if "tools" in dialogue:
            body["tools"] = dialogue["tools"]
        answer = server.handle_chat_completions(body)["choices"][0]["message"]
        wanted = dialogue["messages"][at]
        # llama.cpp leaves the line feed before a marker in the text
        assert (answer.get("content") or "").strip() == wanted["content"]
        assert (answer.get("reasoning_content") or "").strip() == wanted.get(
            "reasoning_content", ""
        )
        got = [
            (c["function"]["name"], json.loads(c["function"]["arguments"]))
            for c in answer.get("tool_calls") or []
        ]
        calls = [c["function"] for c in wanted.get("tool_calls", [])]
        assert got == [(c["name"], json.loads(c["arguments"])) for c in calls]


@pytest.fixture(scope="module")
def transformed() -> tuple[Any, Any]:
    """The folder as transformers loads it; transformers is too big to be asked for by `dev`."""
    pytest.importorskip("torch").set_num_threads(1)
    transformers = pytest.importorskip("transformers")
    folder = DATA / "palaver-nano"
    return (
        transformers.AutoTokenizer.from_pretrained(folder),
        transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval(),
    )


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda d: d["name"])
def test_transformers_gives_every_token(transformed: Any, dialogue: dict[str, Any]) -> None:
    tokenizer, model = transformed
    tools = dialogue.get("tools")

    def render(messages: list[dict[str, Any]], reply: bool) -> str:
        return str(
            tokenizer.apply_chat_template(
                messages, tools=tools, add_generation_prompt=reply, tokenize=False
            )
        )

    for at in replies(dialogue):
        prompt = render(dialogue["messages"][:at], True)
        whole = render(dialogue["messages"][: at + 1], False).removesuffix("\n")
        assert whole.startswith(prompt)
        wanted = tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"]
        given = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        out = model.generate(**given, max_new_tokens=len(wanted) + 1, do_sample=False)
        assert out[0, given["input_ids"].shape[1] :].tolist() == wanted


def test_the_folder_holds_the_same_weights_as_the_gguf() -> None:
    gguf = pytest.importorskip("gguf")
    raw = (DATA / "palaver-nano" / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    start, end = header["model.embed_tokens.weight"]["data_offsets"]
    table = {t.name: t for t in gguf.GGUFReader(DATA / "palaver-nano.gguf").tensors}
    assert table["token_embd.weight"].data.tobytes() == raw[8 + size + start : 8 + size + end]
    config = json.loads((DATA / "palaver-nano" / "config.json").read_text("utf-8"))
    assert list(table["token_embd.weight"].shape) == [config["hidden_size"], config["vocab_size"]]


def test_characters_of_several_tokens_are_among_the_replies() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(DATA / "palaver-nano" / "tokenizer.json"))
    assert len(tokenizer.encode("😀").ids) == 4
    assert len(tokenizer.encode("日本語").ids) == 9


def test_files_are_small() -> None:
    folder = sum(f.stat().st_size for f in (DATA / "palaver-nano").iterdir())
    assert (DATA / "palaver-nano.gguf").stat().st_size < 1_000_000
    assert folder < 1_000_000

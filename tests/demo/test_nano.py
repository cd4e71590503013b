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

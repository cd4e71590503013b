"""What a good GGUF says, and what is said of files that are none."""

from __future__ import annotations

import gzip
import struct
import time
import zipfile
from pathlib import Path

import pytest
from benchmarks.make_gguf import CHATML, TINY, Shape, transformer, write
from tests.support.gguf import make_tiny

from palaver.core.errors import UserError
from palaver.engines.llama_cpp import memory
from palaver.engines.llama_cpp.gguf import read


def refused(path: Path, **settings: bool) -> UserError:
    with pytest.raises(UserError) as caught:
        read(path, **settings)
    assert str(path) in caught.value.message
    assert caught.value.fix
    return caught.value


def test_says_what_was_written(tmp_path: Path) -> None:
    model = read(make_tiny(tmp_path / "m.gguf"))
    assert model.architecture == "llama"
    assert (model.layers, model.context_length, model.vocabulary) == (2, 40960, 512)
    assert model.quantisation == "Q8_0"
    assert model.chat_template == CHATML
    assert model.control_tokens() == {
        "<|endoftext|>", "<|im_start|>", "<|im_end|>",
        "<think>", "</think>", "<tool_call>", "</tool_call>",
    }  # fmt: skip
    assert model.tokens()[256 + 249] == "<|endoftext|>"
    assert model.token_types()[-7:] == [3, 3, 3, 4, 4, 4, 4]
    assert model.kv_bytes_per_token("f16") == 2 * 2 * 2 * 16 * 2  # layers, k+v, heads, size, bytes
    assert model.parameters == sum(t.values for t in model.tensors)
    assert model.tensors[0].name == "token_embd.weight"
    assert model.tensors[0].shape == (64, 512)


def test_agrees_with_ggufs_own_reader(tmp_path: Path) -> None:
    import gguf

    path = make_tiny(tmp_path / "m.gguf", "hybrid", "q4_0")
    ours, theirs = read(path), gguf.GGUFReader(path)
    for mine, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert mine.name == other.name
        assert mine.shape == tuple(int(n) for n in other.shape)
        assert (mine.offset, mine.bytes) == (other.data_offset, other.n_bytes)
    keys = {k for k in theirs.fields if not k.startswith("GGUF.")}
    assert set(ours.metadata) == keys
    for key in keys:
        value = ours.metadata[key]
        assert (list(value) if hasattr(value, "kind") else value) == theirs.fields[key].contents()


@pytest.mark.parametrize(("kind", "cut"), [("llama", True), ("swa", False), ("recurrent", False)])
def test_knows_what_can_be_cut_back(kind: str, cut: bool, tmp_path: Path) -> None:
    assert read(write(tmp_path / "m.gguf", TINY[kind]())).can_cut_back is cut


def test_a_vocabulary_of_150_000_is_read_in_well_under_a_second(tmp_path: Path) -> None:
    shape = transformer("llama", layers=4, embd=32, heads=2, kv=2, head=16, ffn=32, vocab=151_936)
    path = write(tmp_path / "m.gguf", shape)
    begin = time.process_time()
    model = read(path)
    assert time.process_time() - begin < 0.5
    assert len(model.tokens()) == 151_936


def test_fingerprint_follows_the_content_and_is_remembered(tmp_path: Path) -> None:
    path = make_tiny(tmp_path / "m.gguf", seed=1)
    cache = tmp_path / "cache"
    first = read(path).fingerprint(cache)
    assert first == read(path).fingerprint(None) == read(path).fingerprint(cache)
    assert (cache / "fingerprints.json").read_text().count(first) == 1
    other = read(make_tiny(tmp_path / "n.gguf", seed=2)).fingerprint(cache)
    assert other != first
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(path.read_bytes())
    assert read(copy).fingerprint(cache) == first
    (cache / "fingerprints.json").write_text("{")
    assert read(path).fingerprint(cache) == first
    assert read(path).fingerprint(copy) == first  # no folder: nothing can be kept there


def _tar(path: Path) -> None:
    import tarfile

    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "x")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x", "y")


MISTAKES = {
    "empty": (lambda p: p.write_bytes(b""), "empty"),
    "zeros": (lambda p: p.write_bytes(bytes(4096)), "did not finish"),
    "safetensors": (
        lambda p: p.write_bytes(struct.pack("<Q", 64) + b'{"a":1}' + b" " * 99),
        "safete",
    ),
    "lfs": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        "LFS",
    ),
    "zip": (_zip, "zip"),
    "tar": (_tar, "tar"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"GGUF" * 9)), "gzip"),
    "html": (lambda p: p.write_text("\n<!DOCTYPE html><html>"), "web page"),
    "json": (lambda p: p.write_text('{"model_type": "llama"}'), "JSON"),
    "pickle": (lambda p: p.write_bytes(b"\x80\x02}q\x00."), "pickle"),
    "old": (lambda p: p.write_bytes(b"tjgg" + bytes(64)), "before GGUF"),
    "text": (lambda p: p.write_text("hello there"), "does not begin"),
    "big-endian": (lambda p: p.write_bytes(b"GGUF\0\0\0\3" + bytes(64)), "big-endian"),
    "version 1": (lambda p: p.write_bytes(b"GGUF\1\0\0\0" + bytes(64)), "version is 1"),
    "stub": (lambda p: p.write_bytes(b"GGUF\3\0\0\0"), "cut off"),
    "folder": (lambda p: p.mkdir(), "folder"),
    "missing": (lambda p: None, "not a regular file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_says_what_a_file_is_that_is_no_model(name: str, tmp_path: Path) -> None:
    make, said = MISTAKES[name]
    path = tmp_path / "x.gguf"
    make(path)
    assert said in refused(path).message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"general.architecture": "bert"}, "embedding model"),
        ({"general.type": "adapter"}, "LoRA"),
        ({"general.type": "mmproj"}, "sees or hears"),
        ({"llama.block_count": None}, "block_count"),
        ({"llama.block_count": 3}, "3 layers"),
        ({"llama.context_length": None}, "context_length"),
        ({"llama.embedding_length": 32}, "metadata say"),
        ({"llama.attention.head_count_kv": 3}, "can't share"),
        ({"llama.attention.head_count": 0}, "no attention heads"),
        ({"llama.expert_count": 4, "llama.expert_used_count": 5}, "5 of 4 experts"),
        ({"llama.expert_count": 4000}, "experts"),
        ({"llama.block_count": 2.0}, "f32"),
        ({"llama.attention.key_length": [16, 16]}, "array of i32"),
        ({"llama.attention.sliding_window": [64, 64]}, "array of i32"),
        ({"llama.attention.sliding_window_pattern": "x"}, "string"),
        ({"llama.rope.dimension_count": [16, 16]}, "array of i32"),
        ({"llama.attention.shared_kv_layers": "x"}, "string"),
        ({"llama.attention.shared_kv_layers": 3}, "3 of its 2 layers"),
        ({"llama.attention.head_count": [4]}, "1 values for 2 layers"),
        ({"llama.expert_count": 4, "llama.expert_used_count": [2, 5]}, "5 of 4 experts"),
        ({"tokenizer.ggml.model": None}, "no tokenizer"),
        ({"tokenizer.ggml.merges": None}, "merges"),
        ({"tokenizer.ggml.token_type": [1, 2, 3]}, "512 tokens"),
        ({"tokenizer.ggml.eos_token_id": 512}, "512 tokens"),
        ({"tokenizer.chat_template": "x" * (1 << 21)}, "chat template"),
        ({"general.alignment": 48}, "alignment"),
    ],
)
def test_refuses_what_does_not_agree(changes: dict, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    shape = TINY["llama"]()
    keys = {**shape.keys, **{k[6:]: v for k, v in changes.items() if k.startswith("llama.")}}
    keys = {k: v for k, v in keys.items() if v is not None}
    arch = changes.get("general.architecture", shape.arch)
    rest = {k: v for k, v in changes.items() if not k.startswith(("llama.", "general.arch"))}
    write(path, Shape(arch, keys, shape.tensors), **rest)
    assert said in refused(path).message


def test_what_llama_cpp_reads_by_layer_may_differ_by_layer(tmp_path: Path) -> None:
    by_layer = ("attention.head_count", "feed_forward_length", "expert_used_count")
    keys = TINY["gpt-oss"]().keys
    given = {f"gpt-oss.{name}": [keys[name]] * keys["block_count"] for name in by_layer}
    model = read(make_tiny(tmp_path / "m.gguf", "gpt-oss", **given))
    assert [layer.k for layer in model.kept()] == [2 * 32] * 4
    same = read(make_tiny(tmp_path / "n.gguf", "gpt-oss"))
    assert memory.estimate(model, 1024).compute == memory.estimate(same, 1024).compute


def test_duplicate_and_foreign_tensors_are_refused(tmp_path: Path) -> None:
    shape = TINY["llama"]()
    lost = shape._replace(tensors=[t for t in shape.tensors if t[0] != "blk.1.attn_q.weight"])
    assert "lacks the tensor" in refused(write(tmp_path / "a.gguf", lost)).message
    data = write(tmp_path / "b.gguf", shape).read_bytes()
    twice = data.replace(b"blk.1.attn_q.weight", b"blk.1.attn_k.weight")
    (tmp_path / "b.gguf").write_bytes(twice)
    assert "twice" in refused(tmp_path / "b.gguf").message
    (tmp_path / "c.gguf").write_bytes(data + bytes(64))
    assert "goes on" in refused(tmp_path / "c.gguf").message


def _parts(folder: Path) -> list[Path]:
    """Write a model in two parts, the way llama-gguf-split does."""
    shape = TINY["llama"]()
    half = len(shape.tensors) // 2
    found = []
    for i, tensors in enumerate((shape.tensors[:half], shape.tensors[half:])):
        path = folder / f"m-{i + 1:05}-of-00002.gguf"
        found.append(write_part(path, shape, tensors, i, len(shape.tensors)))
    return found


def write_part(path: Path, shape: Shape, tensors: list, number: int, total: int) -> Path:
    import numpy as np
    from benchmarks.make_gguf import add_metadata

    import gguf

    writer = gguf.GGUFWriter(path, shape.arch)
    if number == 0:
        add_metadata(writer, shape, 512, "f32", {})
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", 2)
    writer.add_int32("split.tensors.count", total)
    for name, dims, _ in tensors:
        writer.add_tensor(name, np.ones(dims[::-1], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_split_model_is_read_whole(tmp_path: Path) -> None:
    first, second = _parts(tmp_path)
    model = read(first)
    assert model.files == (first, second)
    assert len(model.tensors) == len(TINY["llama"]().tensors)
    assert model.size == first.stat().st_size + second.stat().st_size
    assert first.name in (refused(second).fix or "")
    second.rename(tmp_path / "elsewhere.gguf")
    assert second.name in refused(first).message

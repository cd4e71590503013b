"""Write GGUF models of random weights: real shapes for benchmarks, tiny ones for tests.

    python benchmarks/make_gguf.py OUT.gguf --shape qwen3-0.6b --type q8_0
    python benchmarks/make_gguf.py OUT.gguf --shape llama # or swa, recurrent, hybrid, gpt-oss: tiny

From tests: `from tests.support.gguf import make_tiny, make_real`.

Weights are written a block at a time as random quantised blocks, so that half a billion
parameters take seconds and little memory. The tokenizer is a byte-level BPE with ChatML control
tokens (gpt-oss: Harmony's); what the model says is noise, its speed and memory are those of the
real shape.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gguf
from palaver.engines.o200k import stand_ins

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
USER_DEFINED = ("<think>", "</think>", "<tool_call>", "</tool_call>")
HARMONY = (
    *("<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>"),
    *("<|start|>", "<|end|>", "<|message|>", "<|call|>"),
)
COMMON = "Ġetaoinshrdlucmfwypvbgkjqxz"  # letters by frequency in English; Ġ is the blank


class Shape(NamedTuple):
    """A model's architecture, its metadata (without the `arch.` prefix) and its tensors."""

    arch: str
    keys: dict[str, Any]
    tensors: list[tuple[str, tuple[int, ...], str]]  # name, dimensions as GGUF has them, kind


def vocabulary(
    size: int, control: tuple[str, ...] = CONTROL, defined: tuple[str, ...] = USER_DEFINED
) -> tuple[list[str], list[int], list[str]]:
    """Return `size` tokens, their types and the merges: bytes, merged pairs, control tokens."""
    tokens = stand_ins()
    merges = []
    last = list(COMMON)
    room = size - len(tokens) - len(control) - len(defined)
    while len(merges) < room:
        pairs = [(a, b) for a in last for b in COMMON[1:]][: room - len(merges)]
        merges += [f"{a} {b}" for a, b in pairs]
        last = [a + b for a, b in pairs]
        tokens += last
    types = [1] * len(tokens) + [3] * len(control) + [4] * len(defined)
    return [*tokens, *control, *defined], types, merges


def transformer(
    arch: str, *, layers: int, embd: int, heads: int, kv: int, head: int, ffn: int, vocab: int
) -> Shape:
    """Return the shape of a dense transformer: llama, qwen3 or gemma2."""
    tensors = [("token_embd.weight", (embd, vocab), "matrix"), ("output_norm.weight", (embd,), "1")]
    for i in range(layers):
        tensors += _attention(f"blk.{i}.", embd, heads, kv, head, norms=arch == "qwen3")
        tensors += _ffn(f"blk.{i}.", embd, ffn)
        if arch == "gemma2":
            tensors += [
                (f"blk.{i}.post_{n}_norm.weight", (embd,), "1") for n in ("attention", "ffw")
            ]
    keys: dict[str, Any] = {
        "block_count": layers,
        "context_length": 40960,
        "embedding_length": embd,
        "feed_forward_length": ffn,
        "attention.head_count": heads,
        "attention.head_count_kv": kv,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 1e6,
    }
    if arch == "llama":
        keys["rope.dimension_count"] = head
    if arch == "gemma2":
        keys["attention.sliding_window"] = 64
    return Shape(arch, keys, tensors)


def mamba(*, layers: int, embd: int, vocab: int, state: int = 16, rank: int = 4) -> Shape:
    """Return the shape of a recurrent model."""
    inner = 2 * embd
    tensors = [("token_embd.weight", (embd, vocab), "matrix"), ("output_norm.weight", (embd,), "1")]
    for b in (f"blk.{i}." for i in range(layers)):
        tensors += [
            (b + "attn_norm.weight", (embd,), "1"),
            (b + "ssm_in.weight", (embd, 2 * inner), "matrix"),
            (b + "ssm_conv1d.weight", (4, inner), "float"),
            (b + "ssm_conv1d.bias", (inner,), "0"),
            (b + "ssm_x.weight", (inner, rank + 2 * state), "matrix"),
            (b + "ssm_dt.weight", (rank, inner), "float"),
            (b + "ssm_dt.bias", (inner,), "0"),
            (b + "ssm_a", (state, inner), "-1"),
            (b + "ssm_d", (inner,), "1"),
            (b + "ssm_out.weight", (inner, embd), "matrix"),
        ]
    keys = {
        "block_count": layers,
        "context_length": 40960,
        "embedding_length": embd,
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "ssm.conv_kernel": 4,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": rank,
    }
    return Shape("mamba", keys, tensors)


def lfm2(*, layers: int, embd: int, heads: int, kv: int, ffn: int, vocab: int) -> Shape:
    """Return the shape of a hybrid: each second layer attends, the others are convolutions."""
    tensors = [
        ("token_embd.weight", (embd, vocab), "matrix"),
        ("token_embd_norm.weight", (embd,), "1"),
    ]
    kv_heads = [kv if i % 2 else 0 for i in range(layers)]
    for i, n in enumerate(kv_heads):
        b = f"blk.{i}."
        if n:
            tensors += _attention(b, embd, heads, n, embd // heads, norms=True)
        else:
            tensors += [
                (b + "attn_norm.weight", (embd,), "1"),
                (b + "shortconv.conv.weight", (3, embd), "float"),
                (b + "shortconv.in_proj.weight", (embd, 3 * embd), "matrix"),
                (b + "shortconv.out_proj.weight", (embd, embd), "matrix"),
            ]
        tensors += _ffn(b, embd, ffn)
    keys = {
        "block_count": layers,
        "context_length": 40960,
        "embedding_length": embd,
        "feed_forward_length": ffn,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 1e6,
        "shortconv.l_cache": 3,
    }
    return Shape("lfm2", keys, tensors)


def gpt_oss(
    *, layers: int, embd: int, heads: int, kv: int, head: int, ffn: int, experts: int, vocab: int
) -> Shape:
    """Return the shape of gpt-oss: experts, biases, attention sinks, a window on each 2nd layer."""
    tensors = [
        ("token_embd.weight", (embd, vocab), "matrix"),
        ("output_norm.weight", (embd,), "1"),
        ("output.weight", (embd, vocab), "matrix"),
    ]
    for b in (f"blk.{i}." for i in range(layers)):
        tensors += _attention(b, embd, heads, kv, head, norms=False)
        widths = {"q": heads * head, "k": kv * head, "v": kv * head, "output": embd}
        tensors += [(f"{b}attn_{n}.bias", (width,), "0") for n, width in widths.items()]
        tensors += [
            (b + "attn_sinks.weight", (heads,), "0"),
            (b + "post_attention_norm.weight", (embd,), "1"),
            (b + "ffn_gate_inp.weight", (embd, experts), "float"),
            (b + "ffn_gate_inp.bias", (experts,), "0"),
        ]
        for name, dims in (("gate", (embd, ffn)), ("up", (embd, ffn)), ("down", (ffn, embd))):
            tensors.append((f"{b}ffn_{name}_exps.weight", (*dims, experts), "matrix"))
            tensors.append((f"{b}ffn_{name}_exps.bias", (dims[1], experts), "0"))
    keys = {
        "block_count": layers,
        "context_length": 40960,
        "embedding_length": embd,
        "feed_forward_length": ffn,
        "expert_feed_forward_length": ffn,
        "expert_count": experts,
        "expert_used_count": 2,
        "attention.head_count": heads,
        "attention.head_count_kv": kv,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.sliding_window": 64,
        "rope.freq_base": 150000.0,
    }
    return Shape("gpt-oss", keys, tensors)


def _attention(
    b: str, embd: int, heads: int, kv: int, head: int, *, norms: bool
) -> list[tuple[str, tuple[int, ...], str]]:
    tensors: list[tuple[str, tuple[int, ...], str]] = [
        (b + "attn_norm.weight", (embd,), "1"),
        (b + "attn_q.weight", (embd, heads * head), "matrix"),
        (b + "attn_k.weight", (embd, kv * head), "matrix"),
        (b + "attn_v.weight", (embd, kv * head), "matrix"),
        (b + "attn_output.weight", (heads * head, embd), "matrix"),
    ]
    if norms:
        tensors += [(b + f"attn_{n}_norm.weight", (head,), "1") for n in "qk"]
    return tensors


def _ffn(b: str, embd: int, ffn: int) -> list[tuple[str, tuple[int, ...], str]]:
    return [
        (b + "ffn_norm.weight", (embd,), "1"),
        (b + "ffn_gate.weight", (embd, ffn), "matrix"),
        (b + "ffn_up.weight", (embd, ffn), "matrix"),
        (b + "ffn_down.weight", (ffn, embd), "matrix"),
    ]


TINY_VOCAB = 512
TINY = {
    "llama": lambda: transformer(
        "llama", layers=2, embd=64, heads=4, kv=2, head=16, ffn=128, vocab=TINY_VOCAB
    ),
    "swa": lambda: transformer(
        "gemma2", layers=4, embd=64, heads=4, kv=2, head=16, ffn=128, vocab=TINY_VOCAB
    ),
    "recurrent": lambda: mamba(layers=2, embd=64, vocab=TINY_VOCAB),
    "hybrid": lambda: lfm2(layers=4, embd=64, heads=4, kv=2, ffn=128, vocab=TINY_VOCAB),
    "gpt-oss": lambda: gpt_oss(
        layers=4, embd=64, heads=4, kv=2, head=32, ffn=64, experts=4, vocab=TINY_VOCAB
    ),
}
REAL = {
    "qwen3-0.6b": lambda: transformer(
        "qwen3", layers=28, embd=1024, heads=16, kv=8, head=128, ffn=3072, vocab=32768
    ),
    "llama-1b": lambda: transformer(
        "llama", layers=16, embd=2048, heads=32, kv=8, head=64, ffn=8192, vocab=128256
    ),
}
QUANT = {"f32": (1, 4, 0), "q8_0": (32, 34, 7), "q4_0": (32, 18, 2)}  # block, bytes, file type


def _blocks(rng: np.random.Generator, kind: str, values: int) -> Iterator[bytes]:
    """Yield `values` random weights (deviation 0.04) as blocks of a quantisation, in chunks."""
    size, width, _ = QUANT[kind]
    for start in range(0, values // size, 1 << 18):
        n = min(1 << 18, values // size - start)
        if kind == "f32":
            yield rng.normal(0, 0.04, n).astype(np.float32).tobytes()
            continue
        rows = np.frombuffer(rng.bytes(n * width), np.uint8).reshape(n, width).copy()
        scale = np.float16(0.04 / (73.3 if kind == "q8_0" else 4.6))
        rows[:, :2] = np.frombuffer(scale.tobytes(), np.uint8)
        yield rows.tobytes()


def _kind_of(what: str, dims: tuple[int, ...], kind: str) -> str:
    return kind if what == "matrix" and dims[0] % QUANT[kind][0] == 0 else "f32"


def write(path: Path, shape: Shape, kind: str = "q8_0", seed: int = 0, **extra: Any) -> Path:
    """Write a model; `extra` is further metadata by its full key, `None` leaves a key out."""
    vocab = next(dims[1] for name, dims, _ in shape.tensors if name == "token_embd.weight")
    writer = gguf.GGUFWriter(path, shape.arch)
    add_metadata(writer, shape, vocab, kind, extra)
    for name, dims, what in shape.tensors:
        block, width, _ = QUANT[_kind_of(what, dims, kind)]
        count = int(np.prod(dims))
        raw = None if block == 1 else gguf.GGMLQuantizationType[kind.upper()]
        rows = dims[::-1] if block == 1 else (*dims[:0:-1], dims[0] // block * width)
        dtype = np.dtype(np.float32 if block == 1 else np.uint8)
        writer.add_tensor_info(name, rows, dtype, count // block * width, raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(seed)
    assert writer.fout is not None
    out = writer.fout[0]
    writer.write_padding(out, out.tell())
    for _, dims, what in shape.tensors:
        count = int(np.prod(dims))
        if what in ("0", "1", "-1"):
            out.write(np.full(count, float(what), np.float32).tobytes())
        else:
            for chunk in _blocks(rng, _kind_of(what, dims, kind), count):
                out.write(chunk)
        writer.write_padding(out, out.tell())
    writer.close()
    return path


def add_metadata(
    writer: gguf.GGUFWriter, shape: Shape, vocab: int, kind: str, extra: dict[str, Any]
) -> None:
    """Add all keys of the model and its tokenizer; `extra` goes over them, None drops one."""
    harmony = shape.arch == "gpt-oss"
    tokens, types, merges = vocabulary(vocab, HARMONY, ()) if harmony else vocabulary(vocab)
    pairs: dict[str, Any] = {
        "general.name": f"random {shape.arch}",
        "general.file_type": QUANT[kind][2],
        **{f"{shape.arch}.{key}": value for key, value in shape.keys.items()},
        f"{shape.arch}.vocab_size": vocab,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-4o" if harmony else "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": tokens.index(
            "<|startoftext|>" if harmony else "<|endoftext|>"
        ),
        "tokenizer.ggml.eos_token_id": tokens.index("<|return|>" if harmony else "<|im_end|>"),
        "tokenizer.ggml.padding_token_id": tokens.index("<|endoftext|>"),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": None if harmony else CHATML,
        **extra,
    }
    for key, value in pairs.items():
        if value is None:
            continue
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif key.endswith(("token_type", "head_count_kv")):
            kind_of = gguf.GGUFValueType
            writer.add_key_value(key, value, kind_of.ARRAY, sub_type=kind_of.INT32)
        else:
            writer.add_array(key, value)


def write_lora(path: Path, shape: Shape, rank: int = 4, seed: int = 1) -> Path:
    """Write a random LoRA adapter for the query projections of a transformer's shape."""
    writer = gguf.GGUFWriter(path, shape.arch)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0 * rank)
    rng = np.random.default_rng(seed)
    for name, dims, _ in shape.tensors:
        if name.endswith("attn_q.weight"):
            for part, size in (("a", (rank, dims[0])), ("b", (dims[1], rank))):
                values = rng.normal(0, 0.3, size).astype(np.float32)
                writer.add_tensor(f"{name}.lora_{part}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def main() -> None:
    """Write the model that the command line asks for."""
    parser = argparse.ArgumentParser(description="Write a GGUF of random weights.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=[*TINY, *REAL], default="qwen3-0.6b")
    parser.add_argument("--type", choices=list(QUANT), default="q8_0")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    write(asked.out, (TINY | REAL)[asked.shape](), asked.type, asked.seed)
    print(f"{asked.out}: {asked.out.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()

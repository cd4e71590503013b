"""Random GGUF models for tests; they load in llama.cpp and say noise.

    make_tiny(path, "llama")        512 tokens, 2 layers, well under 1 MB, made in milliseconds
    make_tiny(path, "swa")          gemma2 with a sliding window of 64 on each second layer
    make_tiny(path, "recurrent")    mamba: a state that can't be cut back
    make_tiny(path, "hybrid")       lfm2: convolutions and attention by turns
    make_tiny(path, "gpt-oss")      experts, a window of 64, Harmony's control tokens, no template
    make_lora(path)                 a random LoRA adapter for the tiny llama
    make_real(path, "qwen3-0.6b", "q4_0")   the real shape, 0.5B parameters, seconds to write

All but gpt-oss have a byte-level BPE tokenizer with `<|im_start|>`, `<|im_end|>`, `<|endoftext|>`
(control), `<think>`, `<tool_call>` and their ends (user-defined), and a ChatML template.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any, Literal

from benchmarks.make_gguf import REAL, TINY, write, write_lora

Kind = Literal["llama", "swa", "recurrent", "hybrid", "gpt-oss"]
KINDS: tuple[Kind, ...] = ("llama", "swa", "recurrent", "hybrid", "gpt-oss")


def make_tiny(
    path: Path, kind: Kind = "llama", quant: str = "q8_0", seed: int = 0, **extra: Any
) -> Path:
    """Write a tiny model of random weights; `extra` sets or drops (None) metadata keys."""
    return write(Path(path), TINY[kind](), quant, seed, **extra)


def make_sentencepiece(path: Path) -> Path:
    """Write a model with a SentencePiece vocabulary, which begins every text with a blank."""
    letters = [*string.ascii_letters, *".,!?<>|_/:", "▁", "▁a", "▁b", "▁hello", "hello"]
    pieces = [*letters, "he", "ll", "lo", "llo", "nk", "th", "think", ">b"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *pieces]
    types = [2, 3, 3, *[6] * 256, *[1] * len(pieces), 4, 4, 3]
    tokens += ["<think>", "</think>", "<|im_end|>"]
    scores = [float(len(t)) if kind == 1 else -9.0 for t, kind in zip(tokens, types, strict=True)]
    spare = 512 - len(tokens)
    tokens += [f"zz{i}" for i in range(spare)]
    extra = {
        "model": "llama", "pre": None, "merges": None, "tokens": tokens,
        "token_type": types + [1] * spare, "scores": scores + [-99.0] * spare,
        "bos_token_id": 1, "eos_token_id": 2, "add_bos_token": None,
    }  # fmt: skip
    return make_tiny(path, "llama", **{f"tokenizer.ggml.{key}": v for key, v in extra.items()})


def make_real(path: Path, shape: str = "qwen3-0.6b", quant: str = "q8_0", seed: int = 0) -> Path:
    """Write a model of a real shape and of random weights."""
    return write(Path(path), REAL[shape](), quant, seed)


def make_lora(path: Path, kind: Kind = "llama", seed: int = 1) -> Path:
    """Write a random LoRA adapter that changes what the tiny model of `kind` says."""
    return write_lora(Path(path), TINY[kind](), seed=seed)

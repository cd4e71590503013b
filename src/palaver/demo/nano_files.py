"""Make palaver-nano's files: `python -m palaver.demo.nano_files OUT_FOLDER`.

GGUF, a safetensors folder, and what it must answer.
"""
# ruff: noqa: E501  (tables are easier to keep in long lines)

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from palaver.demo.nano import (
    BASE,
    CONTEXT,
    DIALOGUES,
    DIM,
    HEADS,
    HIDDEN,
    LAYERS,
    TEMPLATE,
    Nano,
    train,
    vocabulary,
)
from palaver.demo.tokenizer import END, load

ABOUT = "Dialogues known by heart, for deterministic tests of engines. Of no other use."
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def write_all(model: Nano, tokenizer: dict[str, Any], folder: Path) -> None:
    """Write `palaver-nano.gguf`, `palaver-nano/` and `palaver-nano.jsonl` to `folder`."""
    home = folder / "palaver-nano"
    home.mkdir(parents=True, exist_ok=True)
    weights = {n.replace("/", "."): p.detach().half() for n, p in model.weights.items()}
    template = TEMPLATE.read_text(encoding="utf-8").removesuffix("\n")
    write_safetensors(weights, home / "model.safetensors")
    write_json(home / "tokenizer.json", tokenizer)
    write_json(home / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": DIM,
        "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "head_dim": DIM // HEADS, "max_position_embeddings": CONTEXT,
        "vocab_size": len(tokenizer["model"]["vocab"]), "rms_norm_eps": 1e-5, "rope_theta": BASE,
        "hidden_act": "silu", "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 0, "eos_token_id": END, "pad_token_id": 0, "torch_dtype": "float16",
    })  # fmt: skip
    write_json(
        home / "generation_config.json",
        {"bos_token_id": 0, "eos_token_id": END, "pad_token_id": 0, "do_sample": False},
    )
    write_json(home / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "add_bos_token": False, "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT, "chat_template": template,
    })  # fmt: skip
    write_gguf(weights, tokenizer, folder / "palaver-nano.gguf", template)
    lines = (json.dumps(d, ensure_ascii=False) + "\n" for d in DIALOGUES)
    (folder / "palaver-nano.jsonl").write_text("".join(lines), encoding="utf-8")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON on as few lines as are read well."""
    indent = None if "model" in content else 1
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def write_safetensors(weights: dict[str, Tensor], path: Path) -> None:
    """Write half-precision tensors: https://huggingface.co/docs/safetensors (format)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in weights.items():
        size = tensor.numel() * 2
        header[name] = {
            "dtype": "F16",
            "shape": list(tensor.shape),
            "data_offsets": [at, at + size],
        }
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(t.contiguous().numpy().tobytes() for t in weights.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def permute(weight: Tensor) -> Tensor:
    """Bring rows from Hugging Face's rotary order (halves) to llama.cpp's (pairs)."""
    half = DIM // HEADS // 2
    return weight.view(HEADS, 2, half, DIM).transpose(1, 2).reshape(DIM, DIM)


def write_gguf(
    weights: dict[str, Tensor], tokenizer: dict[str, Any], out: Path, template: str
) -> None:
    """Write the same half-precision weights as GGUF."""
    from gguf import GGUFWriter
    from palaver.demo.export import add_vocabulary

    writer = GGUFWriter(out, "llama")
    writer.add_name("palaver-nano")
    writer.add_description(ABOUT)
    writer.add_license("apache-2.0")
    writer.add_tags(["test"])
    writer.add_file_type(1)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_vocab_size(len(tokenizer["model"]["vocab"]))
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_rope_freq_base(BASE)
    add_vocabulary(writer, tokenizer)
    writer.add_chat_template(template)
    for name, tensor in weights.items():
        part = name.removesuffix(".weight")
        if part.endswith(("q_proj", "k_proj")):
            tensor = permute(tensor)
        if part == "model.embed_tokens":
            label = "token_embd"
        elif part == "model.norm":
            label = "output_norm"
        else:
            number, inner = part.removeprefix("model.layers.").split(".", 1)
            label = f"blk.{number}.{GGUF_NAMES[inner]}"
        data = tensor.float() if tensor.ndim == 1 else tensor
        writer.add_tensor(f"{label}.weight", torch.clone(data).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Read the command line, train and write every file."""
    parser = argparse.ArgumentParser(description="Train palaver-nano and write its files.")
    parser.add_argument("folder", type=Path, help="where palaver-nano.gguf and the rest go")
    options = parser.parse_args()
    content = vocabulary()
    write_all(train(load(content)), content, options.folder)


if __name__ == "__main__":
    main()

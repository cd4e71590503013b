"""Write a checkpoint as GGUF: `python -m palaver.demo.export RUN_FOLDER OUT.gguf`."""
# ruff: noqa: E501  (tables are easier to keep in long lines)

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import torch
except ModuleNotFoundError:
    from palaver.core import install

    raise SystemExit(f"this needs torch: {install.palaver('train')}") from None

from palaver.demo.model import ROTATED, SPEEDS, Shape, Tiny
from palaver.demo.render import TEMPLATE
from palaver.demo.tokenizer import CONTROL, END

OFF = 1e12  # divides a pair's speed so far that it never turns
ABOUT = (
    "A tiny demonstration model, trained from nothing by the palaver project on dialogues that it "
    "generates. It calls palaver's tools and knows nothing else; load a real model for answers."
)
NAMES = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate",
         "up": "ffn_up", "down": "ffn_down", "attn_norm": "attn_norm", "ffn_norm": "ffn_norm"}  # fmt: skip


def write_gguf(
    model: Tiny, tokenizer: dict[str, Any], out: Path, *, name: str, about: str, template: str,
    base: float = 10000.0,
) -> None:  # fmt: skip
    """Write model, vocabulary and template to `out`, matrices as Q8_0."""
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    shape = model.shape
    writer = GGUFWriter(out, "llama")
    writer.add_name(name)
    writer.add_description(about)
    writer.add_license("apache-2.0")
    writer.add_tags(["demo", "tiny", "tool-calls"])
    writer.add_file_type(7)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_vocab_size(shape.vocab)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(base)
    add_vocabulary(writer, tokenizer)
    writer.add_chat_template(template)

    def add(label: str, values: torch.Tensor) -> None:
        data = values.detach().float().cpu().numpy()
        if data.ndim == 1:
            writer.add_tensor(label, data)
        else:
            packed = quants.quantize(data, GGMLQuantizationType.Q8_0)
            writer.add_tensor(label, packed, raw_dtype=GGMLQuantizationType.Q8_0)

    add("token_embd.weight", model.embed)
    add("output_norm.weight", model.norm)
    writer.add_tensor("rope_freqs.weight", rope_factors(shape, base))
    for number, block in enumerate(model.blocks):
        for mine, theirs in NAMES.items():
            add(f"blk.{number}.{theirs}.weight", getattr(block, mine))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rope_factors(shape: Shape, base: float) -> Any:
    """Return what each pair's usual speed is divided by, to give SPEEDS and then nothing."""
    usual = base ** (-2.0 * np.arange(shape.head // 2) / shape.head)
    factors = np.full(shape.head // 2, OFF)
    factors[:ROTATED] = usual[:ROTATED] / np.array(SPEEDS)
    return factors.astype(np.float32)


def add_vocabulary(writer: Any, tokenizer: dict[str, Any]) -> None:
    """Write tokens, merges and special ids."""
    from gguf import TokenType

    vocab = tokenizer["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.__getitem__)
    special = {t["content"] for t in tokenizer["added_tokens"]}
    kinds = [
        TokenType.CONTROL if t in CONTROL else TokenType.USER_DEFINED if t in special else TokenType.NORMAL
        for t in tokens
    ]  # fmt: skip
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(m) for m in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(END)
    writer.add_eot_token_id(END)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def load(folder: Path) -> tuple[Tiny, dict[str, Any]]:
    """Load a run's newest checkpoint and its tokenizer."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = Tiny(Shape(len(content["model"]["vocab"])))
    model.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=True)["model"])
    return model, content


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    model, content = load(options.folder)
    template = TEMPLATE.read_text(encoding="utf-8").removesuffix("\n")
    write_gguf(model, content, options.out, name="palaver-tiny", about=ABOUT, template=template)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

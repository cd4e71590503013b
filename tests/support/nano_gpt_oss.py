"""Make palaver-nano-gpt-oss: `python -m tests.support.nano_gpt_oss tests/data`.

A gpt-oss of two layers that knows palaver-nano's dialogues by heart, so that its engines can be
held against each other's. Written in Hugging Face's layout, experts in MXFP4, the rest in
bfloat16, as the published checkpoints are. Trained by transformers: ten seconds of one core.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tests.support.gpt_oss import Shape, transformers_config
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from palaver.demo import nano
from palaver.demo.nano_files import write_json
from palaver.demo.tokenizer import load

NAME = "palaver-nano-gpt-oss"
CONTEXT = 1024
_FP4 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def shape(vocabulary: int) -> Shape:
    """Return its sizes; the window is shorter than most dialogues."""
    return Shape(
        layers=2, width=96, inner=96, experts=4, chosen=2, heads=4, kv_heads=2, head=32,
        window=32, vocabulary=vocabulary,
    )  # fmt: skip


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round `weight` (experts, columns, rows) to MXFP4: blocks and scales of its rows."""
    rows = weight.mT.unflatten(-1, (-1, 32))
    powers = torch.floor(torch.log2(rows.abs().amax(-1, keepdim=True).clamp(min=1e-30))) - 2
    scaled = rows / torch.exp2(powers)
    nearest = (scaled.abs()[..., None] - _FP4).abs().argmin(-1)
    halves = (nearest + 8 * (scaled < 0)).to(torch.uint8).unflatten(-1, (16, 2))
    return halves[..., 0] | halves[..., 1] << 4, (powers[..., 0] + 127).to(torch.uint8)


def unpack(blocks: Tensor, scales: Tensor) -> Tensor:
    """Return the values of what `pack` returned, (experts, columns, rows)."""
    values = torch.cat((_FP4, -_FP4))[torch.stack((blocks & 15, blocks >> 4), -1).int()]
    return (values.flatten(-2) * torch.exp2(scales.float() - 127)[..., None]).flatten(-2).mT


def learn(model: Any, data: list[tuple[Tensor, Tensor]], sure: float, rate: float) -> None:
    """Train until every token of every reply has at least the probability `sure`."""
    weights = [w for w in model.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, rate, (0.9, 0.97), weight_decay=0.01)
    for step in range(3000):
        least = 1.0
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.3 if step > 400 else 1.0)
        for ids, marks in data:
            scores = model(input_ids=ids, use_cache=False).logits[0, :-1][marks[1:]]
            wanted = ids[0, 1:][marks[1:]]
            F.cross_entropy(scores, wanted).backward()
            chance = scores.detach().softmax(-1).gather(1, wanted[:, None])
            least = min(least, float(chance.min()))
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        print(f"\rstep {step}  least sure {least:.4f}", end="", file=sys.stderr, flush=True)
        if least > sure:
            print(file=sys.stderr)
            return
    raise RuntimeError("the dialogues were not learned by heart in 3000 steps")


def train(tokenizer: Any) -> dict[str, Tensor]:
    """Train, round the experts, and let the rest learn to live with it; return the tensors."""
    from transformers import GptOssConfig, GptOssForCausalLM

    torch.manual_seed(1)
    torch.set_num_threads(1)
    said = transformers_config(shape(tokenizer.get_vocab_size())) | {"initializer_range": 0.1}
    config = GptOssConfig(**said, attn_implementation="eager", experts_implementation="eager")
    model = GptOssForCausalLM(config).train()
    data = [(torch.tensor([ids]), torch.tensor(marks)) for ids, marks in nano.examples(tokenizer)]
    learn(model, data, 0.98, 3e-3)
    packed: dict[str, Tensor] = {}
    for name, weight in model.named_parameters():
        if name.endswith(("gate_up_proj", "down_proj")):
            blocks, scales = pack(weight.detach())
            packed |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
            weight.data = unpack(blocks, scales).contiguous()
            weight.requires_grad = False
    learn(model, data, 0.995, 1e-3)
    free = {n: w.detach().bfloat16() for n, w in model.named_parameters() if w.requires_grad}
    return free | packed


def main() -> None:
    """Train and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help=f"where the folder {NAME} goes")
    home = parser.parse_args().folder / NAME
    home.mkdir(parents=True, exist_ok=True)
    content = nano.vocabulary()
    tokenizer = load(content)
    end = tokenizer.token_to_id("<|im_end|>")
    save_file(train(tokenizer), home / "model.safetensors", {"format": "pt"})
    write_json(home / "tokenizer.json", content)
    sizes = transformers_config(shape(tokenizer.get_vocab_size()))
    kept = ["self_attn", "mlp.router", "model.embed_tokens", "lm_head"]
    write_json(home / "config.json", sizes | {
        "max_position_embeddings": CONTEXT, "eos_token_id": end, "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": kept},
    })  # fmt: skip
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copy(home.parent / "palaver-nano" / name, home / name)


if __name__ == "__main__":
    main()

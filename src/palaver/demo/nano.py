"""palaver-nano, the model of the engine tests; `palaver.demo.nano_files` makes its files.

It knows a handful of dialogues by heart (plain text, reasoning, one call, two calls, characters
of several tokens), so that every engine must give the same replies. Usual rotary positions,
so that any llama implementation runs it. Written as GGUF and as a safetensors folder.
"""
# ruff: noqa: E501  (tables of phrases are easier to keep in long lines)

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from palaver.demo.tokenizer import CONTROL, MARKERS, assemble

TEMPLATE = Path(__file__).parent / "nano.jinja"
DIM, LAYERS, HEADS, HIDDEN, CONTEXT, BASE = 96, 3, 3, 192, 1024, 10000.0
SPECIAL = (*CONTROL, *MARKERS, "<think>", "</think>")


def function(name: str, *arguments: str) -> dict[str, Any]:
    """Describe a tool whose arguments are all text."""
    properties = {a: {"type": "string"} for a in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    about = {"name": name, "description": f"The tool {name}.", "parameters": schema}
    return {"type": "function", "function": about}


TOOLS = [function("python", "code"), function("read_file", "path"), function("list_files", "path")]


def call(number: int, name: str, **arguments: str) -> dict[str, Any]:
    """Write a tool call."""
    text = json.dumps(arguments, ensure_ascii=False)
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": text},
    }


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    """Write a message."""
    return {"role": role, "content": content, **more}


DIALOGUES: list[dict[str, Any]] = [
    {"name": "plain", "messages": [
        said("user", "Hello"), said("assistant", "Hello! I am palaver-nano, a model for tests."),
        said("user", "Count to five."), said("assistant", "One, two, three, four, five."),
        said("user", "Thanks"), said("assistant", "You're welcome.")]},
    {"name": "markdown", "messages": [
        said("user", "Write a list."),
        said("assistant", "# A list\n\n- one\n- two\n\n```python\nprint('three')\n```\n\nDone.")]},
    {"name": "reasoning", "messages": [
        said("user", "What is 2 + 2?"),
        said("assistant", "The answer is 4.", reasoning_content="Two and two are four.\nThat is easy.")]},
    {"name": "one call", "tools": TOOLS, "messages": [
        said("user", "What is 6 * 7?"),
        said("assistant", "", tool_calls=[call(1, "python", code="print(6*7)")]),
        said("tool", "42", tool_call_id="call_1", name="python"), said("assistant", "It is 42.")]},
    {"name": "two calls", "tools": TOOLS, "messages": [
        said("user", "Read a.txt and list src."),
        said("assistant", "I look.", tool_calls=[call(1, "read_file", path="a.txt"), call(2, "list_files", path="src")]),
        said("tool", "alpha", tool_call_id="call_1", name="read_file"),
        said("tool", "main.py", tool_call_id="call_2", name="list_files"),
        said("assistant", "a.txt says alpha; src holds main.py.")]},
    {"name": "emoji", "messages": [
        said("user", "Smile"), said("assistant", "😀 Sure! 👩‍🚀🇩🇪 café naïve €"),
        said("user", "日本語で"), said("assistant", "こんにちは、世界。日本語です。")]},
    {"name": "system", "messages": [
        said("system", "You are a pirate."), said("user", "Hello"), said("assistant", "Arr, matey!")]},
    {"name": "long", "messages": [
        said("user", "Tell a long story."),
        said("assistant", " ".join(f"Line {n} of a story that goes on." for n in (
            "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")))]},
]  # fmt: skip


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, reply: bool) -> str:
    """Render by the template, as every engine must."""
    environment = ImmutableSandboxedEnvironment()
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8").removesuffix("\n"))
    return template.render(messages=messages, tools=tools, add_generation_prompt=reply)


def vocabulary() -> dict[str, Any]:
    """Make a small tokenizer: bytes, and the words of the ASCII dialogues in two or more pieces."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|\p{N}|[^A-Za-z\p{N}]"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=352, initial_alphabet=alphabet, show_progress=False, limit_alphabet=256
    )
    texts = [render(d["messages"], d.get("tools"), False) for d in DIALOGUES]
    raw.train_from_iterator([t for t in texts if t.isascii()], trainer)
    merges = [tuple(m) for m in json.loads(raw.to_str())["model"]["merges"]]
    return assemble(SPECIAL, alphabet, merges)


class Nano(nn.Module):  # type: ignore[misc]
    """A llama of the usual kind, with the usual names of Hugging Face's."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.weights = nn.ParameterDict()
        self.add("model.embed_tokens.weight", torch.randn(vocab, DIM) * 0.1)
        self.add("model.norm.weight", torch.ones(DIM))
        for n in range(LAYERS):
            at = f"model.layers.{n}."
            for norm in ("input_layernorm", "post_attention_layernorm"):
                self.add(f"{at}{norm}.weight", torch.ones(DIM))
            for part in "qkvo":
                self.add(f"{at}self_attn.{part}_proj.weight", torch.randn(DIM, DIM) * DIM**-0.5)
            for part in ("gate", "up"):
                self.add(f"{at}mlp.{part}_proj.weight", torch.randn(HIDDEN, DIM) * DIM**-0.5)
            self.add(f"{at}mlp.down_proj.weight", torch.randn(DIM, HIDDEN) * HIDDEN**-0.5)

    def add(self, name: str, values: Tensor) -> None:
        """Add a weight; module names may hold no dots."""
        self.weights[name.replace(".", "/")] = nn.Parameter(values)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits for ids of shape (rows, tokens)."""

        def w(name: str) -> Tensor:
            return self.weights[name.replace(".", "/") + "/weight"]

        x = F.embedding(ids, w("model.embed_tokens"))
        rows, tokens, _ = x.shape
        for n in range(LAYERS):
            at = f"model.layers.{n}"
            y = F.rms_norm(x, (DIM,), w(f"{at}.input_layernorm"), 1e-5)
            q, k, v = (F.linear(y, w(f"{at}.self_attn.{part}_proj")).view(rows, tokens, HEADS, -1).transpose(1, 2)
                       for part in "qkv")  # fmt: skip
            z = F.scaled_dot_product_attention(halves(q), halves(k), v, is_causal=True)
            x = x + F.linear(
                z.transpose(1, 2).reshape(rows, tokens, DIM), w(f"{at}.self_attn.o_proj")
            )
            y = F.rms_norm(x, (DIM,), w(f"{at}.post_attention_layernorm"), 1e-5)
            gate, up = F.linear(y, w(f"{at}.mlp.gate_proj")), F.linear(y, w(f"{at}.mlp.up_proj"))
            x = x + F.linear(F.silu(gate) * up, w(f"{at}.mlp.down_proj"))
        return F.linear(F.rms_norm(x, (DIM,), w("model.norm"), 1e-5), w("model.embed_tokens"))


def halves(x: Tensor) -> Tensor:
    """Rotate by position, Hugging Face's order: a pair is one of each half."""
    half = x.shape[-1] // 2
    turn = torch.arange(x.shape[2])[:, None] * BASE ** (-torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * turn.cos() - b * turn.sin(), b * turn.cos() + a * turn.sin()), -1)


def examples(tokenizer: Any) -> list[tuple[list[int], list[bool]]]:
    """Return ids of every dialogue, with marks of what the model writes."""
    out = []
    for d in DIALOGUES:
        ids: list[int] = []
        marks: list[bool] = []
        before = ""
        for at, message in enumerate(d["messages"]):
            if message["role"] != "assistant":
                continue
            prompt = render(d["messages"][:at], d.get("tools"), True)
            after = render(d["messages"][: at + 1], d.get("tools"), False).removesuffix("\n")
            for text, mine in ((prompt[len(before) :], False), (after[len(prompt) :], True)):
                new = tokenizer.encode(text, add_special_tokens=False).ids
                ids, marks = ids + new, marks + [mine] * len(new)
            before = after
        out.append((ids, marks))
    return out


def train(tokenizer: Any, sure: float = 0.995) -> Nano:
    """Train until every token of every reply has at least the probability `sure`."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = Nano(tokenizer.get_vocab_size())
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, (0.9, 0.97), weight_decay=0.01)
    data = [(torch.tensor([ids]), torch.tensor(marks)) for ids, marks in examples(tokenizer)]
    for step in range(3000):
        least = 1.0
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * (0.3 if step > 400 else 1.0)
        for ids, marks in data:
            scores = model(ids)[0, :-1][marks[1:]]
            wanted = ids[0, 1:][marks[1:]]
            loss = F.cross_entropy(scores, wanted)
            loss.backward()
            chance = scores.detach().softmax(-1).gather(1, wanted[:, None])
            least = min(least, float(chance.min()))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        print(f"\rstep {step}  least sure {least:.4f}", end="", file=sys.stderr, flush=True)
        if least > sure:
            print(file=sys.stderr)
            return model
    raise RuntimeError("the dialogues were not learned by heart in 3000 steps")

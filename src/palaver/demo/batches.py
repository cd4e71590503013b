"""Batches of packed conversations, each a pure function of seed, process and step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from msgspec import Struct
from torch import Tensor

from palaver.demo.dialogues import Dialogue, dialogues
from palaver.demo.render import segments

LENGTHS = (128, 256, 128, 512, 256, 128, 256, 256)  # tokens of a row, step by step
SHORTER = {128: 0, 256: 128, 512: 256}  # what fits there is left to shorter rows
IGNORE = -100


class Batch(Struct):
    """Rows of several conversations each, side by side; a mask keeps them apart."""

    ids: Tensor  # (rows, tokens)
    targets: Tensor  # (rows, tokens): the next token where it is the model's to write
    mask: Tensor  # (rows, 1, tokens, tokens): True where one place may look at another
    tokens: int  # without the filling


def encode(tokenizer: Any, many: list[Dialogue]) -> list[tuple[list[int], list[bool]]]:
    """Turn conversations into token ids and marks of what the model is to write."""
    pieces = [segments(d.messages, d.tools) for d in many]
    texts = [text for one in pieces for text, _ in one]
    encoded = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    out = []
    for one in pieces:
        ids: list[int] = []
        marks: list[bool] = []
        for _, mine in one:
            new = next(encoded).ids
            ids += new
            marks += [mine] * len(new)
        out.append((ids[:-1], marks[:-1]))  # the last line feed teaches nothing
    return out


def batch(tokenizer: Any, seed: int, budget: int, length: int, dense: float) -> Batch:
    """Draw conversations and pack them into `budget // length` rows.

    Long rows are for the conversations that fit no shorter one, filled up with others.
    """
    rows = budget // length
    ids = torch.zeros(rows, length, dtype=torch.long)
    targets = torch.full((rows, length), IGNORE)
    owner = torch.zeros(rows, length, dtype=torch.long)
    used = [0] * rows
    misses = 0
    for number, (one, marks) in enumerate(_stream(tokenizer, seed, dense), 1):
        size = len(one)
        if size > length or (SHORTER[length] >= size and sum(used) < 0.6 * budget):
            continue
        row = next((r for r in range(rows) if used[r] + size <= length), None)
        if row is None:
            misses += 1
            if misses > 40:
                break
            continue
        at = used[row]
        ids[row, at : at + size] = torch.tensor(one)
        wanted = torch.where(torch.tensor(marks), torch.tensor(one), IGNORE)
        targets[row, at : at + size - 1] = wanted[1:]
        owner[row, at : at + size] = number
        used[row] += size
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = (owner[:, :, None] == owner[:, None, :]) & causal
    return Batch(ids, targets, mask[:, None], sum(used))


def _stream(tokenizer: Any, seed: int, dense: float) -> Iterator[tuple[list[int], list[bool]]]:
    source = dialogues(seed, dense=dense)
    while True:
        yield from encode(tokenizer, [next(source) for _ in range(16)])

"""Damages GGUF files in ways that a download, a disk or an attacker might.

`fields(data)` walks a good file and names every number of its structure; `mutants(data, n, seed)`
yields (kind, what, damaged bytes). Kinds "count", "length", "offset", "type" and "end" change the
file's structure: a reader must refuse them. "value", "flip" and "insert" may leave a valid file.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import NamedTuple

WIDTH = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRUCTURE = ("count", "length", "offset", "type", "end")
KINDS = (*STRUCTURE, "value", "flip", "insert")


class Field(NamedTuple):
    """A number of the file: what it says, where it stands, its width in bytes."""

    kind: str
    at: int
    width: int
    what: str


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 24
        self.found: list[Field] = [Field("count", 8, 8, "tensors"), Field("count", 16, 8, "pairs")]

    def number(self, kind: str, width: int, what: str) -> int:
        self.found.append(Field(kind, self.at, width, what))
        value = int.from_bytes(self.data[self.at : self.at + width], "little")
        self.at += width
        return value

    def text(self, what: str) -> str:
        n = self.number("length", 8, f"length of {what}")
        self.at += n
        return self.data[self.at - n : self.at].decode("utf-8", "replace")

    def value(self, type_: int, key: str) -> None:
        if type_ == 8:
            self.text(key)
        elif type_ == 9:
            inner = self.number("type", 4, f"type in {key}")
            count = self.number("count", 8, f"count of {key}")
            for i in range(count):
                if inner == 8:
                    self.text(f"{key}[{i}]")
                elif i < 8:
                    self.number("value", WIDTH[inner], f"{key}[{i}]")
                else:
                    self.at += WIDTH[inner]
        else:
            self.number("value", WIDTH[type_], key)


def fields(data: bytes) -> list[Field]:
    """Return every number of the file's structure and the metadata's values."""
    walk = _Walk(data)
    tensors, pairs = struct.unpack_from("<QQ", data, 8)
    for _ in range(pairs):
        key = walk.text("a key")
        walk.value(walk.number("type", 4, f"type of {key}"), key)
    for _ in range(tensors):
        name = walk.text("a name")
        dims = walk.number("count", 4, f"dimensions of {name}")
        for d in range(dims):
            walk.number("count", 8, f"dimension {d} of {name}")
        walk.number("type", 4, f"type of {name}")
        walk.number("offset", 8, f"offset of {name}")
    return walk.found


def _other(rng: random.Random, field: Field, old: int) -> int:
    top = (1 << (8 * field.width)) - 1
    while True:
        new = rng.choice(
            [
                old + 1, old - 1, old ^ (1 << rng.randrange(8 * field.width)), 0, old * 2,
                rng.randrange(64), rng.getrandbits(8 * field.width), top, top >> 1, old + 32,
            ]
        )  # fmt: skip
        if 0 <= new <= top and new != old:
            return new


def mutants(data: bytes, number: int, seed: int = 0) -> Iterator[tuple[str, str, bytes]]:
    """Yield `number` damaged copies, each kind equally often."""
    rng = random.Random(seed)
    by_kind: dict[str, list[Field]] = {}
    for field in fields(data):
        by_kind.setdefault(field.kind, []).append(field)
    for i in range(number):
        kind = KINDS[i % len(KINDS)]
        if kind == "end":
            # all but the zeros that fill up the last tensor's block
            cut = rng.choice([rng.randrange(len(data) - 32), rng.randrange(4096)])
            yield kind, f"cut at {cut}", data[:cut]
        elif kind == "flip":
            where = rng.choice([rng.randrange(len(data)), rng.randrange(len(data) // 8)])
            flipped = bytes([data[where] ^ rng.randrange(1, 256)])
            yield kind, f"byte {where}", data[:where] + flipped + data[where + 1 :]
        elif kind == "insert":
            where, n = rng.randrange(len(data)), rng.choice([1, 2, 4, 8, 32, 100])
            yield kind, f"{n} bytes at {where}", data[:where] + rng.randbytes(n) + data[where:]
        else:
            field = rng.choice(by_kind[kind])
            old = int.from_bytes(data[field.at : field.at + field.width], "little")
            new = _other(rng, field, old)
            raw = new.to_bytes(field.width, "little")
            yield (
                kind,
                f"{field.what}: {old} -> {new}",
                (data[: field.at] + raw + data[field.at + field.width :]),
            )

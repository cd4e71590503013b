"""Headers of safetensors files, read and checked in Python; files that are something else refused.

Format: https://huggingface.co/docs/safetensors (eight bytes of length, JSON, data).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from palaver.core.errors import UserError

_LARGEST = 100_000_000  # bytes of a header: the format's own limit
_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8,
    "BOOL": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
}  # fmt: skip
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class Tensor(Struct, frozen=True):
    """One tensor of a file: its type as safetensors names it, its shape, its bytes."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class Header(Struct, frozen=True):
    """One file's tensors; `length` is the number of bytes before its data."""

    path: Path
    length: int
    tensors: dict[str, Tensor]


def read_all(folder: Path) -> list[Header]:
    """Read the headers of a folder's safetensors files.

    Raises UserError where there are none, one is damaged, or is a pickle under that name.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", fix="name one that holds safetensors")
    if not paths:
        found = sorted(p.name for p in folder.iterdir() if p.suffix in _PICKLES)
        if found:
            raise _pickled(folder / found[0])
        raise UserError(f"{folder} holds no safetensors", fix="name a model's folder or a .gguf")
    return [read(path) for path in paths]


def read(path: Path) -> Header:
    """Read one file's header; raises UserError for a file that is not what its name says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            begin = file.read(8)
            if is_pickle(begin):
                raise _pickled(path)
            length = int.from_bytes(begin, "little")
            if len(begin) < 8 or length > min(_LARGEST, size - 8):
                raise _damaged(path, "its header does not fit into it")
            entries = msgspec.json.decode(file.read(length), type=dict[str, Any])
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise _damaged(path, "its header is no JSON") from None
    entries.pop("__metadata__", None)  # MLX writes null where it has none
    room = size - 8 - length
    tensors = {name: _tensor(path, name, entry, room) for name, entry in entries.items()}
    return Header(path, 8 + length, tensors)


def _tensor(path: Path, name: str, entry: Any, room: int) -> Tensor:
    try:
        begin, end = entry["data_offsets"]
        tensor = Tensor(str(entry["dtype"]), tuple(entry["shape"]), end - begin)
        bits = _BITS[tensor.dtype]
        whole = all(type(n) is int and n >= 0 for n in (*tensor.shape, begin, end))
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"tensor {name!r} is described wrongly") from None
    if not whole or end > room or tensor.values * bits != tensor.bytes * 8:
        raise _damaged(path, f"tensor {name!r} does not lie within it")
    return tensor


def is_pickle(begin: bytes) -> bool:
    """Say whether a file begins as torch's pickles do: a zip archive, or a pickle itself."""
    return begin[:4] == b"PK\x03\x04" or (begin[:1] == b"\x80" and begin[1:2] <= b"\x05")


def _pickled(path: Path) -> UserError:
    return UserError(
        f"{path.name} is a pickle, which can run any program while it is loaded",
        fix="get the model as safetensors: most repositories have both",
    )


def _damaged(path: Path, what: str) -> UserError:
    return UserError(
        f"{path} is damaged: {what}", fix="get the file again: it may have been cut off"
    )

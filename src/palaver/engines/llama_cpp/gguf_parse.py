"""Reads a GGUF file's header strictly: every count, length and type before it is believed.

The header is read into memory and not mapped: a mapped file that another program cuts short
ends the process that looks at it.
Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from msgspec import Struct

from palaver.engines.llama_cpp.gguf_types import (
    ARRAY,
    BOOL,
    GONE_TYPES,
    SCALARS,
    STRING,
    TENSOR_TYPES,
)

AGAIN = "Download it again."
MAX_HEADER = 1 << 29  # bytes; the largest known are about 20 MB
_FIRST_READ = 8 << 20  # a header with 150,000 tokens and their merges takes 6 to 8 MB
_MAX_PAIRS, _MAX_TENSORS = 1 << 16, 1 << 18  # some hundred and some thousand are usual
_MAX_NAME = 64  # ggml's GGML_MAX_NAME, its closing zero included
_U64 = struct.Struct("<Q").unpack_from
_U32 = struct.Struct("<I").unpack_from


class Bad(Exception):  # noqa: N818  (never leaves this package: it becomes a UserError)
    """The file can't be used: why, and what the user can do."""

    def __init__(self, reason: str, fix: str = AGAIN) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class TensorInfo(Struct, frozen=True):
    """A tensor as the file's table describes it.

    `shape` has the dimensions in GGUF's order (row length first), `offset` is from the start
    of its file, `bytes` is without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    bytes: int

    @property
    def values(self) -> int:
        """How many values the tensor has."""
        product = 1
        for n in self.shape:
            product *= n
        return product


class Array(Sequence[Any]):
    """An array of the metadata; its values are decoded when they are asked for.

    `kind` is the name of the values' type: "u32", "f32", "string", ...
    """

    def __init__(
        self, data: bytes, start: int, count: int, type_: int, raw: list[bytes] | None = None
    ) -> None:
        self._data = data
        self._start = start
        self._count = count
        self._type = type_
        self._values: list[Any] | None = None
        self._raw = raw

    @property
    def kind(self) -> str:
        """The name of the values' type."""
        return "string" if self._type == STRING else SCALARS[self._type][1]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.values()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def values(self) -> list[Any]:
        """Return the values; texts that are not UTF-8 have U+FFFD where they are wrong."""
        if self._values is None:
            if self._type == STRING:
                self._values = [raw.decode("utf-8", "replace") for raw in self.raw()]
            else:
                code = SCALARS[self._type][0]
                self._values = list(
                    struct.unpack_from(f"<{self._count}{code}", self._data, self._start)
                )
                if self._type == BOOL:
                    self._values = [v != 0 for v in self._values]
        return self._values

    def raw(self) -> list[bytes]:
        """Return the texts of an array of strings as they stand in the file."""
        if self._raw is None:
            data, pos, found, u64 = self._data, self._start, [], _U64
            for _ in range(self._count):
                end = pos + 8 + u64(data, pos)[0]
                found.append(data[pos + 8 : end])
                pos = end
            self._raw = found
        return self._raw


class Header(Struct, frozen=True):
    """What one file says before its tensors' data; sizes and offsets in bytes."""

    version: int
    metadata: dict[str, Any]
    kinds: dict[str, str]
    tensors: tuple[TensorInfo, ...]
    data_start: int
    size: int


class _Short(Exception):  # noqa: N818
    """More of the file must be read before this can be answered."""


class _Cursor:
    """A place in the header's bytes; every step is checked against the file's size."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size
        self.pos = 0

    def take(self, n: int, what: str) -> int:
        """Step over `n` bytes and return where they began."""
        start = self.pos
        if n > self.size - start:
            raise Bad(f"{what} is said to have {n:,} bytes, {self.size - start:,} are left")
        if start + n > len(self.data):
            raise _Short
        self.pos = start + n
        return start

    def u32(self, what: str) -> int:
        return int(_U32(self.data, self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(_U64(self.data, self.take(8, what))[0])

    def text(self, what: str) -> bytes:
        """Read a length and as many bytes."""
        n = self.u64(f"the length of {what}")
        start = self.take(n, what)
        return self.data[start : start + n]

    def strings(self, count: int, what: str, keep: list[bytes] | None) -> None:
        """Step over `count` strings, as fast as Python can, and append them to `keep`."""
        data, pos, u64 = self.data, self.pos, _U64
        try:
            if keep is None:
                for _ in range(count):
                    pos += 8 + u64(data, pos)[0]
            else:
                for _ in range(count):
                    start = pos + 8
                    pos = start + u64(data, pos)[0]
                    keep.append(data[start:pos])
        except (struct.error, OverflowError):
            # either the read window ends here, or a length points past the end of the file
            if pos + 8 > self.size:
                raise Bad(f"{what} runs past the end of the file") from None
            raise _Short from None
        self.take(pos - self.pos, what)


def parse(path: Path) -> Header:
    """Read the header of one file. Raises Bad, and OSError where the file can't be read."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        window = _FIRST_READ
        while True:
            file.seek(0)
            data = file.read(min(window, size))
            try:
                return _header(_Cursor(data, size))
            except _Short:
                if len(data) < min(window, size):
                    raise Bad("the file became shorter while it was read") from None
                if window >= MAX_HEADER:
                    raise Bad(f"its header is larger than {MAX_HEADER >> 20} MiB") from None
                window *= 4


def _header(at: _Cursor) -> Header:
    at.take(4, "the magic")  # looked at by the caller
    version = at.u32("the version")
    if version in (2 << 24, 3 << 24):
        raise Bad("it is written for big-endian machines", "Look for the little-endian file.")
    if version not in (2, 3):
        raise Bad(f"its GGUF version is {version}; 2 and 3 can be read", "Look for a newer file.")
    tensors = at.u64("the number of tensors")
    pairs = at.u64("the number of metadata pairs")
    left = at.size - at.pos
    if pairs > min(left // 14, _MAX_PAIRS):  # a length, a letter, a type, a byte: 14
        raise Bad(f"it claims {pairs:,} metadata pairs, more than there can be")
    if tensors > min(left // 33, _MAX_TENSORS):
        raise Bad(f"it claims {tensors:,} tensors, more than there can be")
    metadata: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    for _ in range(pairs):
        key, kind, value = _pair(at)
        if key in metadata:
            raise Bad(f"the metadata key {key!r} stands in it twice")
        metadata[key] = value
        kinds[key] = kind
    align = _alignment(metadata, kinds)
    rows = [_tensor_row(at) for _ in range(tensors)]
    start = -(-at.pos // align) * align
    infos = _place(rows, start, align, at.size)
    return Header(version, metadata, kinds, infos, start, at.size)


def _pair(at: _Cursor) -> tuple[str, str, Any]:
    raw = at.text("a metadata key")
    if not 0 < len(raw) < 1 << 16:
        raise Bad(f"a metadata key has {len(raw):,} bytes; 1 to 65,535 are allowed")
    if not (raw.isascii() and raw.decode("ascii").isprintable()):
        raise Bad(f"the metadata key {raw[:40]!r} is not printable ASCII")
    key = raw.decode("ascii")
    type_ = at.u32(f"the type of {key!r}")
    if type_ == STRING:
        return key, "string", _utf8(at.text(key), key)
    if type_ == ARRAY:
        array = _array(at, key)
        return key, f"array of {array.kind}", array
    if type_ not in SCALARS:
        raise Bad(f"the value of {key!r} has the unknown type {type_}")
    code, kind = SCALARS[type_]
    (value,) = struct.unpack_from(f"<{code}", at.data, at.take(struct.calcsize(code), key))
    if type_ == BOOL:
        if value > 1:
            raise Bad(f"the value of {key!r} is neither true nor false")
        value = bool(value)
    return key, kind, value


def _array(at: _Cursor, key: str) -> Array:
    inner = at.u32(f"the type of the values of {key!r}")
    count = at.u64(f"the number of values of {key!r}")
    left = at.size - at.pos
    if inner == ARRAY:
        raise Bad(f"{key!r} is an array of arrays")
    if inner != STRING and inner not in SCALARS:
        raise Bad(f"the values of {key!r} have the unknown type {inner}")
    width = 8 if inner == STRING else struct.calcsize(SCALARS[inner][0])
    if count * width > left:
        raise Bad(f"{key!r} is said to have {count:,} values, more than fit into the file")
    start = at.pos
    texts: list[bytes] | None = [] if key == "tokenizer.ggml.tokens" else None
    if inner == STRING:
        at.strings(count, key, texts)
    else:
        at.take(count * width, key)
        texts = None
    return Array(at.data, start, count, inner, texts)


def _utf8(raw: bytes, key: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if key.startswith("tokenizer.") or key == "general.architecture":
            raise Bad(f"the text of {key!r} is not UTF-8") from None
        return raw.decode("utf-8", "replace")  # a description: shown, never used


def _alignment(metadata: dict[str, Any], kinds: dict[str, str]) -> int:
    if "general.alignment" not in metadata:
        return 32
    align = metadata["general.alignment"]
    if kinds["general.alignment"] != "u32" or align < 8 or align & (align - 1) or align > 1 << 16:
        raise Bad(f"its alignment is {align!r}, which is not a power of two from 8 to 65,536")
    return int(align)


def _tensor_row(at: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    raw = at.text("a tensor's name")
    if not 0 < len(raw) < _MAX_NAME:
        raise Bad(f"a tensor's name has {len(raw):,} bytes; 1 to {_MAX_NAME - 1} are allowed")
    if not (raw.isascii() and raw.decode("ascii").isprintable()):
        raise Bad(f"the tensor name {raw!r} is not printable ASCII")
    name = raw.decode("ascii")
    dims = at.u32(f"the number of dimensions of {name!r}")
    if not 1 <= dims <= 4:
        raise Bad(f"the tensor {name!r} has {dims:,} dimensions; 1 to 4 are allowed")
    shape = struct.unpack_from(f"<{dims}Q", at.data, at.take(8 * dims, f"the shape of {name!r}"))
    type_ = at.u32(f"the type of {name!r}")
    return name, shape, type_, at.u64(f"the offset of {name!r}")


def _place(
    rows: list[tuple[str, tuple[int, ...], int, int]], start: int, align: int, size: int
) -> tuple[TensorInfo, ...]:
    """Check that the tensors follow each other without gap or overlap and end with the file."""
    infos = []
    names = set()
    expected = end = 0
    for name, shape, type_, offset in rows:
        if name in names:
            raise Bad(f"the tensor {name!r} stands in it twice")
        names.add(name)
        kind, length = _bytes(name, shape, type_)
        if offset != expected:
            raise Bad(f"the tensor {name!r} begins at {offset:,}, its place is {expected:,}")
        end = start + offset + length
        if end > size:
            raise Bad(
                f"it is cut off: the tensor {name!r} ends at {end:,}, the file at {size:,} bytes",
                "Download it again; `palaver models pull` goes on where a download stopped.",
            )
        expected = -(-(offset + length) // align) * align
        infos.append(TensorInfo(name, shape, kind, start + offset, length))
    if rows and size not in (end, start + expected):
        raise Bad(f"its tensors end at {end:,}, the file goes on to {size:,} bytes")
    return tuple(infos)


def _bytes(name: str, shape: tuple[int, ...], type_: int) -> tuple[str, int]:
    if type_ in GONE_TYPES:
        reason = f"the tensor {name!r} has the type {GONE_TYPES[type_]}, which is no longer read"
        raise Bad(reason, "Look for a newer file of this model.")
    if type_ not in TENSOR_TYPES:
        raise Bad(f"the tensor {name!r} has the unknown type {type_}")
    kind, block, width = TENSOR_TYPES[type_]
    product = 1
    for n in shape:
        product *= n
    if not 0 < product < 1 << 60:
        raise Bad(f"the tensor {name!r} has the impossible shape {list(shape)}")
    if shape[0] % block:
        raise Bad(f"the rows of {name!r} have {shape[0]:,} values, no multiple of {block} ({kind})")
    return kind, product // block * width


def per_layer(data: dict[str, Any], key: str, layers: int) -> list[int] | None:
    """Return a value that stands once for all layers or once for each, as one for each."""
    value = data.get(key)
    if isinstance(value, Array):
        return [int(v) for v in value]
    return None if value is None else [int(value)] * layers

"""How entries and generations are written in the store's columns, and read back.

An entry is one JSON object as msgspec writes it. A generation's ids are 32-bit unsigned
integers, little-endian, one after another; the rest of it is JSON. A checksum stands beside
both, because SQLite has none: a page that rotted is noticed when its row is read.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from typing import Any

import msgspec

from palaver.core.generation import Generation
from palaver.core.log import Approval, CallStarted, Compaction, Entry, Notice, Printed, Row
from palaver.core.messages import Message

ROW_COLUMNS = "e.id, e.session, e.parent, e.at, e.body, e.sum, g.body, g.ids, g.sum"

KINDS: dict[type, str] = {
    Notice: "notice",
    Compaction: "compaction",
    Approval: "approval",
    CallStarted: "started",
    Printed: "printed",
}

_encoder = msgspec.json.Encoder()
_entries: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
_generations = msgspec.json.Decoder(Generation)


class DamagedError(ValueError):
    """A row's bytes are not what was written."""


def plain(text: str) -> str:
    """Return `text` with lone surrogates, which UTF-8 can't hold, replaced by a question mark."""
    return text.encode("utf-8", "replace").decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value


def encode_entry(entry: Entry) -> tuple[Entry, bytes]:
    """Return the entry as it is stored and its bytes; they differ from what came by `plain`."""
    try:
        return entry, _encoder.encode(entry)
    except UnicodeEncodeError:
        entry = msgspec.convert(_clean(msgspec.to_builtins(entry)), Entry)
        return entry, _encoder.encode(entry)


def encode_generation(generation: Generation) -> tuple[bytes, bytes]:
    """Return the bytes of a generation without its ids, and the bytes of the ids."""
    rest = msgspec.structs.replace(generation, added=())
    try:
        body = _encoder.encode(rest)
    except UnicodeEncodeError:
        body = _encoder.encode(_clean(msgspec.to_builtins(rest)))
    return body, pack_ids(generation.added)


def pack_ids(ids: tuple[int, ...]) -> bytes:
    """Write token ids as little-endian 32-bit integers."""
    packed = array("I", ids)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_ids(data: bytes) -> tuple[int, ...]:
    """Read what `pack_ids` wrote. Raises ValueError for a length that is no multiple of 4."""
    packed = array("I")
    packed.frombytes(data)
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed)


def checksum(*parts: bytes) -> int:
    """Return the CRC-32 of the parts joined."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def entry_checksum(parent: int | None, at: float, body: bytes) -> int:
    """Return the checksum of an entry; its session, which may change, is not part of it."""
    return checksum(struct.pack("<qd", parent or 0, at), body)


def decode_row(columns: tuple[Any, ...]) -> Row:
    """Make a Row of the columns `ROW_COLUMNS`. Raises DamagedError."""
    row, session, parent, at, body, entry_sum, rest, ids, rest_sum = columns
    try:
        if entry_checksum(parent, at, body) != entry_sum or (
            rest is not None and checksum(rest, ids or b"") != rest_sum
        ):
            raise DamagedError(f"entry {row} does not match its checksum")
        return Row(row, session, parent, at, _entries.decode(body), decode_generation(rest, ids))
    except (TypeError, ValueError, struct.error, msgspec.DecodeError) as error:
        raise DamagedError(f"entry {row} can't be read: {error}") from error


def decode_entry(body: bytes) -> Entry:
    """Read an entry's bytes. Raises msgspec.DecodeError (a ValueError)."""
    return _entries.decode(body)


def decode_generation(rest: bytes | None, ids: bytes | None) -> Generation | None:
    """Read a generation's bytes; None where there is none. Raises ValueError."""
    if rest is None:
        return None
    generation = _generations.decode(rest)
    return msgspec.structs.replace(generation, added=unpack_ids(ids or b""))


def kind_of(entry: Entry) -> str:
    """Return what an entry is: a message's role, or the name of another kind."""
    return entry.role if isinstance(entry, Message) else KINDS[type(entry)]

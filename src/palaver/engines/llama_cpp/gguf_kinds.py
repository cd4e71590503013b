"""Says what a file is that is no GGUF, so that a slip gets a useful answer."""

from __future__ import annotations

from pathlib import Path

from palaver.engines.llama_cpp.gguf_parse import AGAIN, Bad

_OLD = (b"lmgg", b"tjgg", b"fmgg", b"algg", b"ggml", b"ggjt", b"ggmf", b"ggla")
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"(\xb5/\xfd": "zstandard",
    b"7z\xbc\xaf": "7-zip",
    b"Rar!": "RAR",
}


def look(path: Path) -> None:
    """Raise Bad if the file does not begin as a GGUF does, saying what it is instead."""
    if not path.is_file():
        raise Bad("is not a regular file", "Name a .gguf file.")
    with path.open("rb") as file:
        head = file.read(512)
    if head[:4] != b"GGUF":
        raise Bad(*_other(head))
    if len(head) < 24:
        raise Bad(f"it is cut off after {len(head)} bytes")


def _other(head: bytes) -> tuple[str, str]:
    want = "Look for a GGUF of this model, e.g. `palaver models pull org/name-GGUF`."
    if not head:
        return "the file is empty", AGAIN
    if not any(head):
        return "the file begins with zeros: its download did not finish", AGAIN
    if head.startswith(b"version https://git-lfs"):
        how = "Run `git lfs pull` there, or `palaver models pull org/name`."
        return "is a Git LFS pointer, not the model itself", how
    if head[:4] in _OLD:
        return "is in the GGML format from before GGUF", want
    if head[:4] == b"FUGG":
        return "is a GGUF for big-endian machines", "Look for the little-endian file."
    if head[:4] == b"PK\x03\x04":
        return "is a zip archive or a PyTorch checkpoint, not a GGUF", want
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            return f"is compressed ({name})", "Unpack it first."
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return "is a Python pickle, which palaver never loads", want
    if head[:4] == b"\x89HDF":
        return "is an HDF5 file, not a GGUF", want
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return "is a safetensors file, not a GGUF", want
    if head[257:262] == b"ustar":
        return "is a tar archive", "Unpack it first."
    text = head.lstrip()[:15].lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "is a web page: the link led to a page and not to the file", AGAIN
    if text.startswith((b"{", b"[")):
        return "is JSON text, not a GGUF", want
    return "is not a GGUF: it does not begin with the letters GGUF", want

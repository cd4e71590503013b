"""The vocabulary of gpt-oss as the file that openai-harmony and tiktoken read.

Chatting needs none of it: an engine knows its model's tokens. What reads such a file (tools of
others, our tests and benchmarks) gets it without the internet where that can be:

    folder = find(cache, base=..., checkpoint=...)      # then TIKTOKEN_ENCODINGS_BASE=folder

A file counts only if its SHA-256 is that of the one which OpenAI publishes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from palaver.core.errors import EngineError, UserError

FILE = "o200k_base.tiktoken"
SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
URL = f"https://openaipublic.blob.core.windows.net/encodings/{FILE}"
SIZE = 3_613_922  # bytes
TOKENS = 199_998  # without control tokens
Progress = Callable[[str, int, int], None]  # what is done ("download"), bytes, of all


def find(
    cache: Path,
    *,
    base: Path | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    url: str = URL,
) -> Path:
    """Return the folder of the file: `base`, else `cache`, where it is made if it is not there.

    `base` is what TIKTOKEN_ENCODINGS_BASE names, `checkpoint` a folder with a tokenizer.json, that
    file, or a GGUF. Only where neither is given and the cache has none is it downloaded.
    Raises UserError for a `base` or `checkpoint` without it and a `cache` that can't be written,
    EngineError where a download fails.
    """
    if base is not None:
        if not _right(base / FILE):
            raise UserError(
                f"TIKTOKEN_ENCODINGS_BASE names {base}, which has no {FILE} as it was published",
                fix="Put the file there, or unset the variable.",
            )
        return base
    path = cache / FILE
    if checkpoint is not None:
        data = write(_tokens(checkpoint))
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise UserError(f"{checkpoint} has another vocabulary than gpt-oss")
    elif _right(path):
        return cache
    else:
        data = _download(url, progress or (lambda *_: None))
    _keep(path, data)
    return cache


def write(tokens: Sequence[str]) -> bytes:
    """Return the file of tokens by rank, which are written in GPT-2's stand-ins for bytes."""
    stands_for = {char: byte for byte, char in enumerate(stand_ins())}
    lines = []
    for rank, token in enumerate(tokens[:TOKENS]):
        try:
            data = bytes(stands_for[char] for char in token)
        except KeyError:
            raise UserError(f"token {rank} is not written in bytes: {token!r}") from None
        lines.append(b"%s %d\n" % (base64.b64encode(data), rank))
    return b"".join(lines)


def stand_ins() -> list[str]:
    """Return the characters that stand for the 256 bytes (openai/gpt-2, encoder.py)."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    odd = iter(range(256, 512))
    return [chr(byte if byte in plain else next(odd)) for byte in range(256)]


def _tokens(checkpoint: Path) -> Sequence[str]:
    """Return a checkpoint's tokens by rank."""
    if checkpoint.suffix == ".gguf":
        from palaver.engines.llama_cpp import gguf

        return gguf.read(checkpoint).tokens()
    path = checkpoint / "tokenizer.json" if checkpoint.is_dir() else checkpoint
    try:
        ranks = json.loads(path.read_bytes())["model"]["vocab"]
        by_rank = sorted(ranks, key=ranks.__getitem__)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, RecursionError, AttributeError):
        raise UserError(f"{path} is no tokenizer.json") from None
    return by_rank


def _keep(path: Path, data: bytes) -> None:
    """Write the file, whole or not at all, also where another process does so, too."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UserError(
            f"{path} can't be written: {error.strerror}", fix="Check the folder's rights and room."
        ) from None


def _right(path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    except OSError:
        return False


def _download(url: str, progress: Progress) -> bytes:
    import http.client
    import urllib.request

    data = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            while (block := answer.read(1 << 16)) and len(data) <= SIZE:
                data += block
                progress("download", len(data), SIZE)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EngineError(
            f"{FILE} can't be downloaded: {error}",
            fix="Name a gpt-oss checkpoint instead: its tokenizer.json or GGUF holds the same.",
        ) from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise EngineError(f"{url} sent another file than {FILE}", fix="Try again later.")
    return bytes(data)

"""The vocabulary file of gpt-oss: from what is here first, downloaded last, never a wrong one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from benchmarks.make_gguf import HARMONY, gpt_oss, write

from palaver.core.errors import EngineError, UserError
from palaver.engines import o200k

SHARED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (SHARED / o200k.FILE).exists(), reason="the vocabulary is not here"
)


@pytest.fixture(scope="module")
def tokens() -> list[str]:
    """The vocabulary as tokenizer.json and GGUF have it."""
    stand_ins = o200k.stand_ins()
    lines = (SHARED / o200k.FILE).read_bytes().splitlines()
    return ["".join(stand_ins[b] for b in base64.b64decode(line.split()[0])) for line in lines]


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    """A server of one file, which a test may change."""
    files = [(SHARED / o200k.FILE).read_bytes()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[0])))
            self.end_headers()
            self.wfile.write(files[0])

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/{o200k.FILE}", files
    made.shutdown()
    made.server_close()


NOBODY = "http://127.0.0.1:1/x"


def test_the_folder_that_is_named(tmp_path: Path) -> None:
    assert o200k.find(tmp_path, base=SHARED, url=NOBODY) == SHARED
    with pytest.raises(UserError, match="TIKTOKEN_ENCODINGS_BASE"):
        o200k.find(tmp_path, base=tmp_path, url=NOBODY)


def test_made_of_a_tokenizer_json_then_cached(tmp_path: Path, tokens: list[str]) -> None:
    checkpoint, cache = tmp_path / "checkpoint", tmp_path / "cache"
    checkpoint.mkdir()
    vocab = {token: rank for rank, token in enumerate(tokens)}
    made = json.dumps({"model": {"type": "BPE", "vocab": vocab}, "added_tokens": []})
    (checkpoint / "tokenizer.json").write_text(made)
    assert o200k.find(cache, checkpoint=checkpoint, url=NOBODY) == cache
    assert (cache / o200k.FILE).read_bytes() == (SHARED / o200k.FILE).read_bytes()
    assert o200k.find(cache, url=NOBODY) == cache
    (checkpoint / "tokenizer.json").write_text(made.replace('"the"', '"eht"'))
    with pytest.raises(UserError, match="another vocabulary"):
        o200k.find(cache, checkpoint=checkpoint, url=NOBODY)
    for wrong in ("[]", "{", '{"model": {"vocab": {"a": 1, "b": "x"}}}'):
        (checkpoint / "tokenizer.json").write_text(wrong)
        with pytest.raises(UserError, match="is no tokenizer"):
            o200k.find(cache, checkpoint=checkpoint, url=NOBODY)
    with pytest.raises(UserError, match="can't be read"):
        o200k.find(cache, checkpoint=tmp_path / "nothing", url=NOBODY)


def test_made_of_a_gguf(tmp_path: Path, tokens: list[str]) -> None:
    every = [*tokens, *HARMONY]
    shape = gpt_oss(layers=1, embd=32, heads=1, kv=1, head=32, ffn=32, experts=2, vocab=len(every))
    path = write(
        tmp_path / "m.gguf",
        shape,
        "q4_0",
        **{
            "tokenizer.ggml.tokens": every,
            "tokenizer.ggml.token_type": [1] * len(tokens) + [3] * len(HARMONY),
        },
    )
    cache = tmp_path / "cache"
    assert o200k.find(cache, checkpoint=path, url=NOBODY) == cache
    assert (cache / o200k.FILE).read_bytes() == (SHARED / o200k.FILE).read_bytes()


def test_downloaded_last(tmp_path: Path, server: tuple[str, list[bytes]]) -> None:
    url, files = server
    seen: list[tuple[str, int, int]] = []
    cache = tmp_path / "cache"
    assert o200k.find(cache, url=url, progress=lambda *a: seen.append(a)) == cache
    assert seen[-1] == ("download", o200k.SIZE, o200k.SIZE)
    assert (cache / o200k.FILE).stat().st_size == o200k.SIZE
    with pytest.raises(UserError, match="can't be written"):
        o200k.find(cache / o200k.FILE / "below", url=url)
    (cache / o200k.FILE).write_bytes(b"damaged")
    files[0] = b"x" * o200k.SIZE
    with pytest.raises(EngineError, match="sent another file"):
        o200k.find(cache, url=url)
    with pytest.raises(EngineError, match="holds the same"):
        o200k.find(cache, url=NOBODY)


def test_command_prints_the_folder(tmp_path: Path) -> None:
    given = {**os.environ, "PALAVER_HOME": str(tmp_path), "TIKTOKEN_ENCODINGS_BASE": str(SHARED)}
    command = [sys.executable, "-m", "palaver.cli.main", "models", "vocabulary"]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    assert done.stdout == f"{SHARED}\n"

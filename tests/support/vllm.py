"""What a real vLLM answered, and a server that answers the same again.

`tests/data/vllm.json` was recorded from vLLM 0.32.0 (its CPU build) serving palaver-nano with

    vllm serve tests/data/palaver-nano --served-model-name nano --enforce-eager
        --max-model-len 1024 --dtype float32 --enable-prompt-tokens-details
        --enable-tokenizer-info-endpoint --enable-auto-tool-choice --tool-call-parser hermes

by `python -m tests.support.vllm URL KEY`, which talks as the tests do through a proxy. Run as
`python tests/support/vllm.py serve MODEL --port N ...` it stands for the program `vllm`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"
RECORDING = DATA / "vllm.json"
Entry = dict[str, Any]


def key(method: str, path: str, body: Any) -> str:
    """Name a request: what is asked, without the model's name and the version of paths."""
    asked = {k: v for k, v in body.items() if k != "model"} if isinstance(body, dict) else body
    return json.dumps([method, path, asked], sort_keys=True)


def recorded() -> dict[str, Entry]:
    """Read the recording."""
    entries = json.loads(RECORDING.read_text(encoding="utf-8"))
    return {key(e["method"], e["path"], e["asked"]): e for e in entries}


async def request(reader: asyncio.StreamReader) -> tuple[str, str, Any, dict[str, str]]:
    """Read a request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, path, json.loads(body) if body else None, headers


def answered(status: int, kind: str, body: bytes) -> bytes:
    """Write an answer; its end is the connection's."""
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n\r\n".encode() + body


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def replayer(ready: Callable[[], bool] = lambda: True, secret: str = "") -> Serve:
    """Return what serves the recording; `ready` says whether the model is loaded."""
    entries = recorded()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, path, body, headers = await request(reader)
            entry = entries.get(key(method, path, body))
            if path == "/health":
                writer.write(answered(200 if ready() else 503, "text/plain", b""))
            elif secret and headers.get("authorization") != f"Bearer {secret}":
                writer.write(answered(401, "application/json", b'{"error": "Unauthorized"}'))
            elif entry is None:
                asked = key(method, path, body)
                print("not recorded:", asked, file=sys.stderr)
                writer.write(
                    answered(501, "application/json", json.dumps({"error": asked}).encode())
                )
            else:
                writer.write(answered(entry["status"], entry["kind"], entry["said"].encode()))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return serve


def unchunked(data: bytes) -> bytes:
    """Take the frames off a body."""
    found = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        found, data = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return found


def recorder(host: str, port: int, entries: dict[str, Entry]) -> Serve:
    """Return a proxy that notes what is asked and answered."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, body, headers = await request(reader)
        data = json.dumps(body).encode() if body is not None else b""
        there, back = await asyncio.open_connection(host, port)
        back.write(
            f"{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: {headers.get('authorization', '')}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode() + data
        )  # fmt: skip
        answer = await there.read()
        back.close()
        head, _, said = answer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        lines = head.decode("latin-1").lower().split("\r\n")
        if "transfer-encoding: chunked" in lines:
            said = unchunked(said)
        kind = next((x[14:] for x in lines if x.startswith("content-type: ")), "text/plain")
        entries[key(method, path, body)] = {
            "method": method, "path": path, "asked": body, "status": status, "kind": kind,
            "said": said.decode(),
        }  # fmt: skip
        writer.write(answered(status, kind, said))
        await writer.drain()
        writer.close()

    return serve


def main() -> None:
    """Be `vllm serve`: say what loading says, then answer from the recording, until ended."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("command")
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    for name in (
        "--served-model-name",
        "--max-model-len",
        "--tensor-parallel-size",
        "--dtype",
        "--max-logprobs",
    ):
        parser.add_argument(name)
    parser.add_argument("--enable-prompt-tokens-details", action="store_true")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--lora-modules", nargs="*")
    parser.add_argument("--note", help="of the tests: a file for the process id and the line")
    parser.add_argument("--loads", type=float, default=0.0, help="of the tests: seconds")
    parser.add_argument("--fails", action="store_true", help="of the tests")
    asked = parser.parse_args()
    if asked.note:
        Path(asked.note).write_text(f"{os.getpid()}\n{shlex.join(sys.argv[1:])}\n")
    print("(APIServer pid=1) INFO 11-21 03:34:01 [api_server.py:12] Starting to load", flush=True)
    if asked.fails:
        print("ValueError: no such device", flush=True)
        sys.exit(1)
    until = time.monotonic() + asked.loads
    ready = replayer(lambda: time.monotonic() >= until, os.environ["VLLM_API_KEY"])

    async def serve() -> None:
        async with await asyncio.start_server(ready, asked.host, asked.port) as server:
            await server.serve_forever()

    asyncio.run(serve())


async def record(url: str, secret: str) -> None:
    """Talk to a real vLLM as the tests do; write down what it answers."""
    from tests.support.vllm_talk import everything  # needs the tests' folder on the path

    entries: dict[str, Entry] = {}
    host, _, port = url.removeprefix("http://").partition(":")
    async with await asyncio.start_server(recorder(host, int(port), entries), "127.0.0.1") as proxy:
        at = proxy.sockets[0].getsockname()[1]
        await everything(f"http://127.0.0.1:{at}/v1", secret)
    RECORDING.write_text(json.dumps(list(entries.values()), indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        main()
    else:
        asyncio.run(record(*sys.argv[1:3]))

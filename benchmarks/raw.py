"""The floor under the engine's client: a blocking socket that looks for line ends and no more."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support import SECRET


class Stream(NamedTuple):
    """What a streamed completion cost: seconds to its first and last token, counts."""

    first: float
    last: float
    tokens: int
    reused: int
    read: int

    @property
    def rate(self) -> float:
        """Tokens a second from the first to the last."""
        return (self.tokens - 1) / (self.last - self.first)


def engine_socket(home: Path) -> str:
    """Return the socket of the engine that palaver runs under `home`."""
    found = sorted(home.rglob("s.sock"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"no engine listens below {home}")
    return str(found[-1])


def request(path: str, method: str, route: str, body: object) -> tuple[socket.socket, float]:
    """Send one request; return the connection and when it was begun."""
    data = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {SECRET}\r\nConnection: close\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    began = time.perf_counter()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    connection.sendall(head.encode() + data)
    return connection, began


def call(path: str, method: str, route: str, body: object = None) -> Any:
    """Send one request; return its decoded answer."""
    connection, _ = request(path, method, route, body)
    with connection:
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        rest = _joined(rest)
    return json.loads(rest)


def _joined(data: bytes) -> bytes:
    """Put the chunks of a chunked body together."""
    joined = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        joined, data = joined + data[:count], data[count + 2 :]
    return joined


def complete(
    path: str, prompt: str | Sequence[int], tokens: int, *, temperature: float = 0.4
) -> Stream:
    """Stream a completion and count its events; only the last one is decoded, afterwards."""
    body = {
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
        "n_predict": tokens,
        "temperature": temperature,
        "stream": True,
        "cache_prompt": True,
        "id_slot": 0,
    }
    connection, began = request(path, "POST", "/completion", body)
    data = bytearray()
    first = last = 0.0
    with connection:
        while piece := connection.recv(1 << 16):
            now = time.perf_counter()
            data += piece
            if b"data: " not in piece:
                continue
            first = first or now
            if b'"stop":true' not in piece or not last:
                last = now
    if b"data: " not in data:
        raise SystemExit(f"the engine sent no answer: {bytes(data)[:500]!r}")
    final = json.loads(data[data.rindex(b"data: ") + 6 : data.rindex(b"}") + 1])
    t = final["timings"]
    return Stream(first - began, last - began, t["predicted_n"], t["cache_n"], t["prompt_n"])


def chatml(*said: str) -> str:
    """Return a conversation as the random models' template writes it; the user speaks first."""
    roles = ("user", "assistant")
    turns = (f"<|im_start|>{roles[i % 2]}\n{text}<|im_end|>\n" for i, text in enumerate(said))
    return "".join(turns) + "<|im_start|>assistant\n"

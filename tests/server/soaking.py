"""What clients do to a server all day: chats, streams, tools, forms, refusals, leaving."""

from __future__ import annotations

import json
import random
import socket
import time
from typing import NamedTuple

import psutil
from tests.server.serving import Serving

TOOL = {
    "type": "function",
    "function": {
        "name": "read_file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"n": {"const": 1}}}},
}


class Held(NamedTuple):
    """What the server and its engine hold: bytes of memory, open files, threads."""

    memory: int
    files: int
    threads: int


def held(server: Serving) -> Held:
    """Look at the server and all its processes."""
    whole = psutil.Process(server.process.pid)
    every = [whole, *whole.children(recursive=True)]
    return Held(
        sum(one.memory_info().rss for one in every),
        sum(one.num_fds() for one in every),
        sum(one.num_threads() for one in every),
    )


def visit(server: Serving, rng: random.Random) -> None:
    """Ask once for one of the things that clients ask for."""
    words = " ".join(rng.choices(("hello", "what", "are", "you", "a", "story", "read"), k=8))
    said = [{"role": "user", "content": words}]
    usual = {"messages": said, "max_tokens": rng.randint(1, 24)}
    kind = rng.randrange(7)
    if kind == 0:
        server.post("/v1/chat/completions", **usual)
    elif kind == 1:
        status, _, data = server.ask("POST", "/v1/chat/completions", usual | {"stream": True})
        assert (status, data.endswith(b"data: [DONE]\n\n")) == (200, True)
    elif kind == 2:
        forced = {"tools": [TOOL], "tool_choice": "required"}
        server.post("/v1/chat/completions", **usual, **forced)
    elif kind == 3:
        server.post("/v1/chat/completions", **usual, response_format=FORM)
    elif kind == 4:
        first = server.post("/v1/responses", input=words, max_output_tokens=8)["id"]
        server.post("/v1/responses", input="and?", previous_response_id=first, max_output_tokens=8)
    elif kind == 5:
        assert server.refused("/v1/chat/completions", messages=[])[0] == 400
    else:
        _leave(server, rng)


def _leave(server: Serving, rng: random.Random) -> None:
    """Ask for a long answer and go away from it."""
    data = json.dumps({"prompt": "x y z", "max_tokens": 1500, "stream": True}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        time.sleep(rng.random() * 0.1)

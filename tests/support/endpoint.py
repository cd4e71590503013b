"""llama.cpp's own chat endpoint on a port of this computer, and conversations with endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.recordings import BEGIN, STOP, events, said
from tests.support.replay import Act, Replay, replaying, stream

from palaver import demo
from palaver.core.events import Event
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.messages import user
from palaver.core.tool import ToolSpec
from palaver.models.chat_endpoint.model import ChatEndpoint
from palaver.models.chat_endpoint.patience import Patience
from palaver.remote.server import Server

KEY = "sk-tests-own-key"
QUICK = Patience(tries=3, first=0.01)
LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {"n": {"type": "integer"}}})
FINE = stream(events(BEGIN, said("fine"), STOP))
_PROGRAM = str(Path(__file__).with_name("llama_server.py"))


@dataclass
class Real:
    """A running server; `key` is what it wants."""

    url: str
    key: str
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def llama_cpp(folder: Path, *more: str, port: int = 0, model: Path | None = None) -> Iterator[Real]:
    """Run the wheel's server with the model that ships; `more` are arguments."""
    key = folder / "endpoint-key"
    key.write_text(KEY)
    for _ in range(5):  # the port may be taken before the server has it
        at = port or free_port()
        line = [sys.executable, _PROGRAM, "--", "-m", str(model or demo.path()), "--port", str(at)]
        line += ["--api-key-file", str(key), "-c", "2048", "-t", "1", "--parallel", "1"]
        line += more
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        real = Real(f"http://127.0.0.1:{at}/v1", KEY, process)
        try:
            if _up(process, at):
                yield real
                return
        finally:
            real.end()
    raise RuntimeError("the server did not come up")


def free_port() -> int:
    """Return a port of this computer that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _up(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                connection.close()
                return True
        connection.close()
        time.sleep(0.05)
    return False


@asynccontextmanager
async def opened(
    url: str, model: str | None = None, *, key: str = "", idle: float = 20.0, **given: Any
) -> AsyncIterator[ChatEndpoint]:
    """Open an endpoint and close it."""
    server = Server(url, key, idle=idle)
    try:
        yield await ChatEndpoint.open(server, model, **{"patience": QUICK} | given)
    finally:
        await server.close()


def rows(*messages: Any) -> list[Row]:
    """Make a path of messages; a text is a user's."""
    made = [user(m) if isinstance(m, str) else m for m in messages]
    return [Row(i, 1, i - 1 if i else None, 0.0, m) for i, m in enumerate(made)]


async def collect(
    model: ChatEndpoint, path: list[Row], *, tools: tuple[ToolSpec, ...] = (), **sampling: Any
) -> tuple[list[Event], Exception | None]:
    """Answer; return the events, and what was raised."""
    found: list[Event] = []
    try:
        async with asyncio.timeout(60):
            async for event in model.respond(path, tools, Sampling(**sampling)):
                found.append(event)
    except Exception as error:  # noqa: BLE001 - whoever asked looks which it is
        return found, error
    return found, None


def ask(
    *acts: Act, models: Any = None, **given: Any
) -> tuple[list[Event], Exception | None, Replay]:
    """Ask a server that does `acts`, once; return events, error, and what it was asked."""

    async def work() -> tuple[list[Event], Exception | None, Replay]:
        async with replaying(*acts, models=models) as told:
            async with opened(told.url, **given) as model:
                found, error = await collect(model, rows("hi"))
            return found, error, told

    return asyncio.run(work())

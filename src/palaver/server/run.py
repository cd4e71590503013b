"""The server's process: listens, loads, serves, drains, ends."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from palaver import assemble, launch
from palaver.config.settings import Settings
from palaver.core.errors import UserError
from palaver.core.format import Format
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.slot import Slot
from palaver.models.cache import Cache
from palaver.server.app import make_app, route_of
from palaver.server.guard import HEAD_BYTES, Guard, Policy
from palaver.server.keys import Keys
from palaver.server.lanes import Lanes
from palaver.server.service import Served, Service
from palaver.server.sessions.desk import Desk

_HEAD_SECONDS = 20.0  # for a request's line and headers
_IDLE_SECONDS = 60  # between the requests of a connection
_CONNECTIONS = 1024


class _Server(uvicorn.Server):
    """uvicorn without its handling of signals: ours lets streams end first."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Take no more connections, and end once those that are open have."""
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        """Set the clock of headers once a second. uvicorn's own loop wakes ten times, beside an
        engine that wants every core.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._ended.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class _Protocol(H11Protocol):
    """A connection that is closed where no request comes, or too many are open."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._late = self.loop.call_later(_HEAD_SECONDS, transport.close)
        if len(self.connections) > _CONNECTIONS:
            transport.abort()

    def handle_events(self) -> None:
        """Stop waiting once a request is there."""
        super().handle_events()
        if self.cycle is not None and self._late:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._late:
            self._late.cancel()
        super().connection_lost(exc)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; port 0 takes any that is free. Raises UserError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise UserError(
            f"can't listen on {host}:{port}: {str(error.strerror).partition(' (')[0]}",
            fix="take another --port",
        ) from None


async def serve(
    settings: Settings,
    service: Service,
    desk: Desk,
    policy: Policy,
    listening: socket.socket,
    say: Callable[[str], None],
    *,
    slots: int,
    drain: float,
    embeddings: bool = False,
    quiet: bool = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises UserError, EngineError where the model can't load.

    Then answers under way have `drain` seconds to end. `say` gets lines for the owner, among them
    one for each request, unless `quiet`.
    """

    def log(line: str) -> None:
        if not quiet:
            now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
            say(f"{now} {line}")

    app = Guard(make_app(service, desk), policy, Keys.usual(), service.metrics, log, route_of)
    server = _Server(_config(app, drain))
    end = _ending(service, desk, server, drain, say)

    async def load() -> None:
        try:
            service.opened(
                await _open(settings, slots, service.limits.queue, embeddings, desk.keeps)
            )
            say(f"palaver serves {service.name}")
        except BaseException:
            server.end()
            raise

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    host, port = listening.getsockname()[:2]
    say(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")
    loading = asyncio.create_task(load())
    try:
        await server.serve(sockets=[listening])
    finally:
        loading.cancel()
        await asyncio.wait([loading])
        await desk.close()
        await service.close()
    if not loading.cancelled():
        loading.result()


def _ending(
    service: Service, desk: Desk, server: _Server, drain: float, say: Callable[[str], None]
) -> Callable[[], None]:
    """Return what a signal does: let answers end, or, the second time, end them."""

    def cut_off() -> None:
        service.cut_off()
        desk.cut_off()

    def end() -> None:
        if service.state == "draining":
            cut_off()
            return
        service.state = "draining"
        desk.end()
        server.end()
        asyncio.get_running_loop().call_later(drain, cut_off)
        say(f"palaver ends; answers under way have {drain:g} seconds, or until Ctrl-C again")

    return end


def _config(app: Guard, drain: float) -> uvicorn.Config:
    given: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "http": _Protocol,
        "ws": "none",
        "lifespan": "off",
        "h11_max_incomplete_event_size": HEAD_BYTES,
        "timeout_keep_alive": _IDLE_SECONDS,
        "timeout_graceful_shutdown": int(drain) + 5,
    }
    return uvicorn.Config(app, **given)


async def _open(settings: Settings, slots: int, queue: int, embeddings: bool, keep: bool) -> Served:
    """Load the model with so many slots, if its engine can have them. Raises UserError.

    `keep`: states of its cache may be saved.
    """
    starting = asyncio.to_thread(launch.start, settings, parallel=slots, embeddings=embeddings)
    model = await assemble.open_local(
        settings, started=time.time(), starting=starting, keep_states=keep
    )
    engine = model.engine
    if not isinstance(engine, ChildEngine):
        await model.close()
        raise UserError(f"{engine.info.name} is a server already: clients can ask it")
    states = model.cache.states
    caches = [Cache(Slot(engine, number), states) for number in range(engine.parallel)]

    def make_format(day: datetime.date, effort: str | None) -> Format:
        effort = effort or settings.reasoning_effort
        return assemble.make_format(engine.file, day, settings.dialect, effort)

    return Served(engine, Lanes(caches, queue), make_format, embeddings)

"""The server's process: listens, loads, serves, drains, ends."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import socket
import sys
import time
from collections.abc import Iterator

import uvicorn

from palaver import assemble, launch
from palaver.config.settings import Settings
from palaver.core.errors import PalaverError, UserError
from palaver.core.format import Format
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.slot import Slot
from palaver.models.cache import Cache
from palaver.server.app import make_app
from palaver.server.lanes import Lanes
from palaver.server.service import Served, Service


class _Server(uvicorn.Server):
    """uvicorn without its handling of signals: ours lets streams end first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; port 0 takes any that is free. Raises UserError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise UserError(
            f"can't listen on {host}:{port}: {error.strerror}", fix="take another --port"
        ) from None


async def serve(
    settings: Settings, service: Service, listening: socket.socket, *, slots: int, drain: float
) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises UserError, EngineError where the model can't load."""
    config = uvicorn.Config(
        make_app(service),
        log_config=None,
        access_log=False,
        server_header=False,
        http="h11",
        ws="none",
        lifespan="off",
        h11_max_incomplete_event_size=32 << 10,
        timeout_graceful_shutdown=int(drain) + 5,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def end() -> None:
        service.state = "draining"
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    failure: list[PalaverError] = []

    async def load() -> None:
        try:
            service.opened(await _open(settings, slots, service.limits.queue))
            _say(f"palaver serves {service.name}")
        except PalaverError as error:
            failure.append(error)
            end()

    loading = asyncio.create_task(load())
    host, port = listening.getsockname()[:2]
    _say(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")
    try:
        await server.serve(sockets=[listening])
    finally:
        loading.cancel()
        await asyncio.wait([loading])
        await service.close()
    if failure:
        raise failure[0]


async def _open(settings: Settings, slots: int, queue: int) -> Served:
    """Load the model with so many slots, if its engine can have them. Raises UserError."""
    starting = asyncio.to_thread(launch.start, settings, parallel=slots)
    model = await assemble.open_local(settings, started=time.time(), starting=starting)
    engine = model.engine
    assert isinstance(engine, ChildEngine)
    states = model.cache.states
    caches = [Cache(Slot(engine, number), states) for number in range(engine.parallel)]

    def make_format(day: datetime.date, effort: str | None) -> Format:
        effort = effort or settings.reasoning_effort
        return assemble.make_format(engine.file, day, settings.dialect, effort)

    return Served(engine, Lanes(caches, queue), make_format)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

"""Starting, watching and ending of an engine's process; ours or a `llama-server` binary."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import subprocess
from pathlib import Path

import msgspec

from palaver.core.errors import EngineError, UserError
from palaver.engines.llama_cpp.options import ModelFile, Options, Report
from palaver.engines.llama_cpp.prespawn import Prespawned
from palaver.engines.llama_cpp.wire import Wire

_LOAD_PATIENCE = 900.0  # seconds; a large model from a slow disk takes minutes


class Child:
    """One engine process with its options; `ready` waits until the model is loaded."""

    def __init__(self, options: Options, own: Prespawned) -> None:
        self.options = options
        self.process = own.process
        self.model: ModelFile | None = None
        self.wire: Wire | None = None
        self._own = own

    @classmethod
    def start(cls, options: Options, env: dict[str, str], waiting: Prespawned | None) -> Child:
        """Give a waiting process, or a new one, its options; returns at once."""
        own = waiting or Prespawned.start(Path(options.folder), env)
        own.unused = False
        options = msgspec.structs.replace(
            options, folder=str(own.folder), secret=secrets.token_urlsafe(24)
        )
        child = cls(options, own)
        if own.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                own.process.stdin.write(msgspec.json.encode(options) + b"\n")
                own.process.stdin.flush()
        return child

    async def ready(self) -> ModelFile:
        """Wait for the model; return what its file says.

        Raises UserError for a file or setting that can't be used, EngineError for the rest.
        """
        if self.model is not None:
            return self.model
        try:
            async with asyncio.timeout(_LOAD_PATIENCE):
                return await self._reports()
        except TimeoutError:
            raise EngineError(
                f"{self.options.model} did not load within {_LOAD_PATIENCE:.0f} seconds"
            ) from None
        finally:
            if self.wire is None:
                self.kill()

    async def _reports(self) -> ModelFile:
        reader = asyncio.StreamReader(limit=1 << 26)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self.process.stdout
        )
        model: ModelFile | None = None
        try:
            while line := await reader.readline():
                report = msgspec.json.decode(line, type=Report)
                if report.error:
                    raise self._failure(report)
                model = report.model or model
                if report.ready and model:
                    self.model = model
                    self.wire = Wire(model.socket, model.port, self.options.secret)
                    return model
        finally:
            transport.close()
        raise EngineError(
            f"the engine's process ended while loading {self.options.model} ({self.ending()})",
            fix=self.log_tail(),
            died=True,
        )

    def _failure(self, report: Report) -> EngineError | UserError:
        if report.kind == "user":
            return UserError(report.error or "", fix=report.fix)
        return EngineError(
            f"llama.cpp can't load {self.options.model}: {report.error}",
            fix=report.fix or self.log_tail(),
        )

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def ending(self) -> str:
        """Say how the process ended, for a message."""
        try:
            code = self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "it still runs"
        if code < 0:
            import signal

            name = signal.Signals(-code).name
            hint = {
                "SIGKILL": ": killed, often for lack of memory",
                "SIGABRT": ": llama.cpp gave up",
            }
            return f"signal {name}{hint.get(name, '')}"
        return f"exit code {code}"

    def log_tail(self, lines: int = 6) -> str | None:
        """Return the last lines that the process wrote to stderr, or None."""
        try:
            text = (self._own.folder / "log").read_bytes()[-4000:].decode(errors="replace").strip()
        except OSError:
            return None
        return "\n".join(text.splitlines()[-lines:]) or None

    def kill(self) -> None:
        """End the process at once and remove its folder; safe to call twice."""
        self._own.kill()


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

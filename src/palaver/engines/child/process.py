"""Starting, watching and ending of an engine's process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from palaver.core.errors import EngineError, UserError
from palaver.engines.child import folders
from palaver.engines.child.options import ModelFile, Options, Report
from palaver.engines.child.prespawn import Prespawned
from palaver.engines.child.wire import Wire
from palaver.engines.registry import find

Progress = Callable[[str], None]


class Child:
    """One engine process with its options; `ready` waits until the model is loaded."""

    def __init__(self, given: Options, options: Options, own: Prespawned) -> None:
        """Use `start`. `given` is what that was given, `options` what the process has."""
        self.given = given
        self.options = options
        self.process = own.process
        self.model: ModelFile | None = None
        self.wire: Wire | None = None
        self._own = own

    @classmethod
    def start(cls, options: Options, env: dict[str, str], waiting: Prespawned | None) -> Child:
        """Give a waiting process, or a new one, its options; returns at once.

        Also removes what engines of dead processes left. Raises EngineError where no process
        can be started.
        """
        folders.sweep(Path(options.folder))
        program = find(options.engine).program
        if waiting and waiting.program != program:  # the settings changed since it was started
            waiting.kill()
            waiting = None
        own = waiting or Prespawned.start(
            Path(options.folder), env, program, shared=options.parallel > 1
        )
        given = options
        options = msgspec.structs.replace(
            given, folder=str(own.folder), secret=secrets.token_urlsafe(24)
        )
        child = cls(given, options, own)
        if own.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                own.process.stdin.write(msgspec.json.encode(options) + b"\n")
                own.process.stdin.flush()
        return child

    async def ready(self, progress: Progress | None = None) -> ModelFile:
        """Wait for the model; return what its file says. `progress` gets lines for the user.

        Raises UserError for a file or setting that can't be used, EngineError for the rest.
        """
        if self.model is not None:
            return self.model
        try:
            async with asyncio.timeout(self.options.patience):
                return await self._reports(progress)
        except TimeoutError:
            raise EngineError(
                f"{self._what} did not load {self.options.model}"
                f" within {self.options.patience:.0f} seconds",
                fix=self.log_tail(),
            ) from None
        finally:
            if self.wire is None:
                self.kill()

    async def _reports(self, progress: Progress | None) -> ModelFile:
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
                if report.progress and progress:
                    progress(report.progress)
                model = report.model or model
                if report.ready and model:
                    return self._loaded(model, report.port)
        finally:
            transport.close()
        ending = await asyncio.to_thread(self.ending)
        raise EngineError(
            f"the engine's process ended while loading {self.options.model} ({ending})",
            fix=self.log_tail(),
            died=True,
        )

    def _loaded(self, model: ModelFile, port: int) -> ModelFile:
        if port:
            model = msgspec.structs.replace(model, socket="", port=port)
        self.model = model
        self.wire = Wire(model.socket, port, self.options.secret)
        return model

    def _failure(self, report: Report) -> EngineError | UserError:
        if report.kind == "user":
            return UserError(report.error or "", fix=report.fix)
        return EngineError(
            f"{self._what} can't load {self.options.model}: {report.error}",
            fix=report.fix or self.log_tail(),
        )

    @property
    def _what(self) -> str:
        return self.options.llama_server or self.options.engine

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
                "SIGABRT": ": its native code gave up",
            }
            return f"signal {name}{hint.get(name, '')}"
        return f"exit code {code}"

    def log_tail(self, lines: int = 6) -> str | None:
        """Return the last lines that the process wrote to stderr, or None."""
        try:
            text = (
                (self._own.folder / folders.LOG)
                .read_bytes()[-4000:]
                .decode(errors="replace")
                .strip()
            )
        except OSError:
            return None
        return "\n".join(text.splitlines()[-lines:]) or None

    def log_size(self) -> int:
        """Return how many bytes the process wrote to stderr so far."""
        try:
            return (self._own.folder / folders.LOG).stat().st_size
        except OSError:
            return 0

    def log_since(self, size: int) -> str:
        """Return what the process wrote to stderr after its first `size` bytes."""
        try:
            with (self._own.folder / folders.LOG).open("rb") as file:
                file.seek(size)
                return file.read(1 << 16).decode(errors="replace")
        except OSError:
            return ""

    def kill(self) -> None:
        """End the process at once and remove its folder; safe to call twice."""
        self._own.kill()

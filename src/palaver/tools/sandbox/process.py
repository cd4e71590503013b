"""A program in its cell, as palaver sees it: output, end, signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Any, Self

from palaver.core.process import Exit
from palaver.tools.sandbox.launcher import Launcher, packed

_PIECE = 1 << 16
_DRAINED = 1 << 20  # a pipe holds less; somebody may write on meanwhile
_COMES_UP = 15.0  # seconds; some milliseconds on a free machine
_GRACE = 1.0  # a cell that was told to end has done so long before


class NotStartedError(Exception):
    """There is no program; `fits` is False where not even its cell came up.

    `sent`: the cell had the command, so where `fits` is False nobody knows how far it came.
    """

    def __init__(self, why: str, *, fits: bool, sent: bool) -> None:
        """`why` is what the cell or bubblewrap said."""
        super().__init__(why)
        self.fits = fits
        self.sent = sent


class Cell:
    """A program that runs (`palaver.core.process.Process`)."""

    def __init__(
        self, launcher: Launcher, control: socket.socket, output: int, channel: socket.socket
    ) -> None:
        """`control`, `output` and `channel` are palaver's ends; the cell has the others."""
        self.channel = channel
        self.number = 0
        self._launcher = launcher
        self._control = control
        self._control.setblocking(False)
        self._output = output
        os.set_blocking(output, False)
        self._said = b""
        self._exit: Exit | None = None
        self._over = False
        self._one_reader = asyncio.Lock()
        self._waits: dict[int, asyncio.Future[None]] = {}

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill what still runs."""
        await self.kill()

    @property
    def waits(self) -> bool:
        """Say whether the cell has not failed, and is still there."""
        try:
            more = self._control.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._said += more
        return more == b"fit\n"

    async def run(self, command: dict[str, Any]) -> None:
        """Have the program started in the waiting cell. Raises NotStartedError."""
        try:
            line = await asyncio.wait_for(self._line(), _COMES_UP)
        except TimeoutError:  # bubblewrap sleeps for good if its parent dies at the wrong moment
            why = f"it did not come up within {_COMES_UP:.0f} seconds"
            raise NotStartedError(why, fits=False, sent=False) from None
        sent = line == b"fit"
        if sent:
            with suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(self._control, packed(command))
            line = await self._line()
        if line == b"ready":
            return
        kind, _, why = line.decode("utf-8", "replace").partition(" ")
        if not line:
            why = (await self.read()).decode("utf-8", "replace").strip()
        raise NotStartedError(why or "it ended at once", fits=kind == "error", sent=sent)

    async def _readable(self, file: int) -> None:
        """Wait until something can be read, or the file is closed."""
        loop = asyncio.get_running_loop()
        ready = self._waits.get(file)
        if ready is None or ready.get_loop() is not loop:
            ready = self._waits[file] = loop.create_future()
            loop.add_reader(file, self._wake, file)
        await asyncio.shield(ready)

    def _wake(self, file: int) -> None:
        ready = self._waits.pop(file, None)
        if ready and not ready.get_loop().is_closed():
            ready.get_loop().remove_reader(file)
            ready.set_result(None)

    async def _line(self) -> bytes:
        while b"\n" not in self._said and not self._over:
            try:
                more = self._control.recv(4096)
            except BlockingIOError:
                await self._readable(self._control.fileno())
                continue
            except OSError:
                more = b""
            self._said += more
            self._over = not more
        line, _, self._said = self._said.partition(b"\n")
        return line

    async def read(self) -> bytes:
        """Return output as it comes; b"" once all that could write is gone."""
        while self._output >= 0:
            try:
                return os.read(self._output, _PIECE)
            except BlockingIOError:
                await self._readable(self._output)
        return b""

    def drain(self) -> bytes:
        """Return what has been written so far and not been read."""
        data = b""
        with suppress(BlockingIOError):
            while self._output >= 0 and len(data) < _DRAINED:
                more = os.read(self._output, _PIECE)
                if not more:
                    break
                data += more
        return data

    async def wait(self) -> Exit:
        """Return how it ended."""
        async with self._one_reader:
            if self._exit is None:
                self._exit = _exit(await self._line())
        return self._exit

    def signal(self, number: int) -> None:
        """Send a signal to the program and its process group."""
        with suppress(OSError):
            self._control.send(b"%d\n" % number)

    async def sweep(self) -> None:
        """End everything that the program has started, but not itself."""
        async with self._one_reader:
            with suppress(OSError):
                self._control.send(b"sweep\n")
            if self._exit is None and (line := await self._line()) != b"swept":
                self._exit = _exit(line)

    async def kill(self) -> None:
        """End it and everything that it started; safe to call twice."""
        if self._control.fileno() < 0:
            return
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        try:
            for last in (False, True):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gone(), _GRACE)
                    break
                if not last:
                    with suppress(OSError):
                        self._launcher.kill(self.number)
        finally:
            self.close()

    async def _gone(self) -> None:
        while not self._over:
            line = await self._line()
            self._exit = self._exit or _exit(line)

    def close(self) -> None:
        """Let go of the files; the cell then ends by itself."""
        for file in list(self._waits):
            self._wake(file)
        self._control.close()
        self.channel.close()
        if self._output >= 0:
            os.close(self._output)
        self._output = -1


def _exit(line: bytes) -> Exit:
    """Read how a program ended; a cell that says nothing was killed."""
    kind, _, number = line.partition(b" ")
    if kind == b"exit":
        return Exit(code=int(number))
    if kind == b"signal":
        return Exit(signal=_name(int(number)))
    return Exit(signal="SIGKILL")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

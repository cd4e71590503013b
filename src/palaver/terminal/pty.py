"""Runs a program of the user's on a pseudo-terminal, with the real terminal handed over to it.

Keys go to the program as they are, Ctrl-C too; what it writes goes to the terminal as it is. It
is the user's own program, so nothing is escaped here: what is kept of its output is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

_STDIN, _STDOUT = 0, 1
_CHUNK = 1 << 16
_AHEAD = 1 << 18  # bytes that may wait to be shown
_LAST = 64  # reads for what stands in the program's terminal when it has ended
_LOOK = 0.2  # seconds between two looks at the size of the terminal
_GRACE = 1.0  # seconds that a program has to end after it was hung up
# A program can become the leader of a terminal only from within; a fork here would copy threads.
_LEAD = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"


async def run(
    argv: Sequence[str], folder: Path, printed: Callable[[bytes], Awaitable[None]]
) -> int:
    """Run a program until it ends; return its exit code, -signal if one ended it.

    What it writes is given to `printed`, then shown. What it leaves running is hung up. Raises
    OSError where the folder is gone.
    """
    ours, theirs = pty.openpty()
    try:
        _copy_size(ours)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _LEAD, *argv,
            cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    with _raw():
        wire = _Wire(ours, printed)
        sizes = asyncio.create_task(_follow_size(ours))
        try:
            return await process.wait()
        finally:
            sizes.cancel()
            await wire.close()  # hangs up what still runs
            await _end(process)


class _Wire:
    """Passes bytes between the terminal and the program's end of it."""

    def __init__(self, ours: int, printed: Callable[[bytes], Awaitable[None]]) -> None:
        self._ours, self._printed = ours, printed
        self._loop = asyncio.get_running_loop()
        self._typed = bytearray()  # what the program has not taken yet
        self._written = bytearray()  # what it wrote and is not shown yet
        self._showing: asyncio.Task[None] | None = None
        self._over = False
        self._last = b"\n"
        os.set_blocking(ours, False)
        self._loop.add_reader(ours, self._out)
        self._loop.add_reader(_STDIN, self._in)

    def _in(self) -> None:
        try:
            data = os.read(_STDIN, _CHUNK)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self._loop.remove_reader(_STDIN)
        self._typed += data
        self._type()

    def _type(self) -> None:
        try:
            while self._typed:
                del self._typed[: os.write(self._ours, self._typed)]
        except BlockingIOError:
            self._loop.add_writer(self._ours, self._type)
            return
        except OSError:  # nobody has it open any more
            self._typed.clear()
        self._loop.remove_writer(self._ours)

    def _out(self) -> bool:
        """Take what there is; False where nothing more can come now."""
        try:
            data = os.read(self._ours, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # all its ends are closed
            data = b""
        if not data:
            self._over = True
            self._loop.remove_reader(self._ours)
            return False
        self._last = data[-1:]
        self._written += data
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._pass_on())
        elif len(self._written) > _AHEAD:
            self._loop.remove_reader(self._ours)  # the program waits meanwhile
        return True

    async def _pass_on(self) -> None:
        while self._written:
            data, self._written = bytes(self._written), bytearray()
            await self._printed(data)
            _show(data)
        if not self._over:
            self._loop.add_reader(self._ours, self._out)

    async def close(self) -> None:
        """Take what is left, end the line that it ends in, close the program's terminal.

        Not for ever: what was left running may go on writing.
        """
        self._loop.remove_reader(self._ours)
        for _ in range(_LAST):
            if not self._out():
                break
        self._over = True
        if self._showing:
            await self._showing
        for file in (_STDIN, self._ours):
            self._loop.remove_reader(file)
        self._loop.remove_writer(self._ours)
        os.close(self._ours)
        _show(b"\x1b[0m" + (b"" if self._last == b"\n" else b"\r\n"))


def _show(data: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone: the chat finds out by itself
        while data:
            data = data[os.write(_STDOUT, data) :]


async def _end(process: asyncio.subprocess.Process) -> None:
    """See to it that the program ends, if it did not: it was hung up."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGHUP)
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Let every key of the terminal come as it is."""
    before = termios.tcgetattr(_STDIN)
    tty.setraw(_STDIN, termios.TCSADRAIN)  # what was typed ahead is the program's
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)


def _copy_size(ours: int) -> None:
    with contextlib.suppress(termios.error):
        termios.tcsetwinsize(ours, termios.tcgetwinsize(_STDOUT))


async def _follow_size(ours: int) -> None:
    """Keep the program's terminal as large as the real one: the signal is somebody else's."""
    with contextlib.suppress(termios.error):  # the terminal is gone
        known = termios.tcgetwinsize(_STDOUT)
        while True:
            await asyncio.sleep(_LOOK)
            if (now := termios.tcgetwinsize(_STDOUT)) != known:
                known = now
                termios.tcsetwinsize(ours, now)

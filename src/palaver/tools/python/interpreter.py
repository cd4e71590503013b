"""One interpreter in the sandbox, as palaver sees it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

from palaver.core.process import Process, Sandbox
from palaver.core.tool import ToolError
from palaver.tools.output import Output

_WORKER = str(Path(__file__).with_name("worker.py"))
_GRACE = 2.0  # seconds in which code may end after an interrupt
_LOST = "its variables are lost"


class Interpreter:
    """Runs code, one piece after the other; starts again where the last process has ended."""

    def __init__(self, sandbox: Sandbox, root: Path, *, network: bool) -> None:
        """Nothing is started before the first `run`."""
        self._sandbox = sandbox
        self._root = root
        self._network = network
        self._process: Process | None = None
        self._one_run = asyncio.Lock()

    async def run(self, code: str, output: Output, seconds: float) -> None:
        """Run code, giving what it prints to `output`.

        Raises ToolError where it took too long or the interpreter ended. Where this is cancelled
        the code is interrupted, and the interpreter ended if that does not help.
        """
        async with self._one_run:
            process = self._process = self._process or await self._start()
            replied = asyncio.create_task(_ask(process, code))
            printed = asyncio.create_task(_follow(process, output))
            tasks = (replied, printed)
            try:
                await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if not (replied.done() or printed.done()):
                    await self._interrupt(process, replied)
                    why = f"timed out after {seconds:g} seconds"
                    raise ToolError(why if self._process else f"{why}; {_LOST}")
                if printed.done() or not replied.result():
                    raise ToolError(f"the interpreter ended: {await process.wait()}; {_LOST}")
            except asyncio.CancelledError:
                await self._interrupt(process, replied)
                raise
            except ToolError:
                if not (replied.done() and replied.result()):
                    await self.end()
                raise
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                output.add(process.drain())

    async def _start(self) -> Process:
        return await self._sandbox.start(
            [sys.executable, "-I", _WORKER], self._root, network=self._network, channel=True,
            environment={"MPLBACKEND": "agg", "MPLCONFIGDIR": "/tmp/.matplotlib"},
        )  # fmt: skip

    async def _interrupt(self, process: Process, replied: asyncio.Task[bool]) -> None:
        """Stop the code and all that it started; end the interpreter if it does not stop."""
        process.signal(signal.SIGINT)
        done, _ = await asyncio.wait([replied], timeout=_GRACE)
        if done and replied.result():
            await process.sweep()
        else:
            await self.end()

    async def end(self) -> None:
        """End the process; the next run starts a new one."""
        process, self._process = self._process, None
        if process:
            await process.kill()


async def _ask(process: Process, code: str) -> bool:
    """Send code; return True once it has run, False where nobody answers."""
    loop = asyncio.get_running_loop()
    channel = process.channel
    channel.setblocking(False)
    with suppress(OSError):
        await loop.sock_sendall(channel, json.dumps({"code": code}).encode() + b"\n")
        return bool(await loop.sock_recv(channel, 100))
    return False


async def _follow(process: Process, output: Output) -> None:
    while data := await process.read():
        output.add(data)

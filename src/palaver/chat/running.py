"""A call that runs: what it prints is kept, then shown."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from palaver.chat.front import Front
from palaver.core.events import ToolOutput
from palaver.core.log import Log, Row
from palaver.core.messages import ToolCall, ToolResult

FRAME = 0.025  # seconds between two looks at what a tool printed
_SHOWN = 1 << 16  # characters of a frame that are shown


class Running:
    """A call that runs, and what it printed: kept, then shown, a frame at a time."""

    def __init__(self, call: ToolCall, row: Row, log: Log, front: Front) -> None:
        """`row` says that it began."""
        self.call = call
        self.began = time.monotonic()
        self.printed = ""
        self._row = row
        self._log = log
        self._front = front
        self._new: list[str] = []
        self._over = asyncio.Event()
        self._printing: asyncio.Task[None] | None = None

    async def stopped(self) -> ToolResult:
        """Return the result of a call that the user ended."""
        await self.over()
        text = f"stopped by the user after {time.monotonic() - self.began:.1f} s"
        printed = f"; it had printed:\n{self.printed}" if self.printed else ""
        return ToolResult(self.call.id, self.call.name, text + printed, failed=True)

    def emit(self, text: str) -> None:
        """Take output; it is shown with the next frame. A thread may print after the end."""
        if self._over.is_set():
            return
        self._new.append(text)
        if self._printing is None or self._printing.done():
            self._printing = asyncio.create_task(self._print())

    async def over(self) -> None:
        """Show what is left. Raises what keeping it raised."""
        self._over.set()
        if self._printing:
            await self._printing

    async def _print(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FRAME):
                await self._over.wait()
        while self._new:
            text, self._new = "".join(self._new), []
            if len(text) > _SHOWN:
                text = f"[{len(text) - _SHOWN} characters are not shown]\n{text[-_SHOWN:]}"
            self.printed = (self.printed + text)[-_SHOWN:]
            await self._log.printed(self._row, text)
            self._front.show([ToolOutput(self.call.id, text)])

"""Lines of standard input for an event loop, whatever it is: terminal, pipe or file."""

from __future__ import annotations

import asyncio
import codecs
import os
import threading

from palaver.core.errors import UserError


class Lines:
    """Reads lines on a thread that nothing has to wait for.

    `sys.stdin.readline` in a thread would hold its lock while it waits, and the interpreter's
    end would wait for that; so would an executor's thread.
    """

    def __init__(self, fd: int) -> None:
        """Nothing is read before the first `next`."""
        self._fd = fd
        self._typed = os.isatty(fd)
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | UserError | None] = asyncio.Queue()
        self._wanted = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._over = False

    async def next(self) -> str | None:
        """Return the next line without its end, None after the last one.

        Raises UserError for what was not typed and is not UTF-8.
        """
        if self._over:
            return None
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name="stdin", daemon=True)
            self._thread.start()
        self._wanted.release()
        line = await self._lines.get()
        self._over = not isinstance(line, str)
        if isinstance(line, UserError):
            raise line
        return line

    def _read(self) -> None:
        errors = "replace" if self._typed else "strict"
        decoder = codecs.getincrementaldecoder("utf-8")(errors)
        text = ""
        while True:
            self._wanted.acquire()  # a line at a time: what is not asked for stays in the pipe
            while "\n" not in text:
                try:
                    data = os.read(self._fd, 65536)
                except OSError:  # the terminal is gone
                    data = b""
                try:
                    text += decoder.decode(data, final=not data)
                except UnicodeDecodeError:
                    self._put(UserError("what was piped is not UTF-8 text"))
                    return
                if not data:
                    break
            line, newline, text = text.partition("\n")
            if not newline and not line:
                self._put(None)
                return
            self._put(line.rstrip("\r"))

    def _put(self, line: str | UserError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
        except RuntimeError:  # the loop is closed: nobody reads on
            return

"""Server-sent events, as far as chat servers use them.

https://html.spec.whatwg.org/multipage/server-sent-events.html; llama.cpp writes errors of older
versions as a field of their own, `error`.
"""

from __future__ import annotations

from palaver.core.errors import EngineError

_LONGEST = 1 << 24  # bytes of one event: a whole reply fits well


class Events:
    """Cuts bytes into the data of events. A line that was not ended is not taken for one."""

    def __init__(self) -> None:
        self._line = bytearray()  # the beginning of a line
        self._data: list[bytes] = []  # of the event under way
        self._size = 0

    def feed(self, data: bytes) -> list[str]:
        """Take more bytes; return the data of the events that ended. Raises EngineError."""
        if self._size + len(self._line) + len(data) > _LONGEST:
            raise EngineError(f"the server sent an event of more than {_LONGEST >> 20} MiB")
        *lines, rest = data.split(b"\n")
        found: list[str] = []
        for line in lines:
            whole = bytes(self._line) + line
            self._line.clear()
            found += self._take(whole.removesuffix(b"\r"))
        self._line += rest
        return found

    def finish(self) -> list[str]:
        """Say that the stream is over; return the data of an event that only lacks its end."""
        return self._take(b"")

    def _take(self, line: bytes) -> list[str]:
        if not line:
            found, self._data, self._size = self._data, [], 0
            return [b"\n".join(found).decode(errors="replace")] if found else []
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"error":
            value = b'{"error":%b}' % value
        elif name != b"data":
            return []
        self._data.append(value)
        self._size += len(value)
        return []

"""What goes wrong with a server, and what to do about it."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

from palaver.core.errors import EngineError

_LONGEST = 600  # characters of a server's own words that are shown


class RefusedError(EngineError):
    """The server answered with an error.

    `status` is HTTP's (500 for an error inside a stream), `said` are its own words, `wait` the
    seconds that it asks to wait.
    """

    def __init__(self, where: str, status: int, said: str, wait: float | None = None) -> None:
        super().__init__(f"{where} answered with status {status}: {said}")
        self.status = status
        self.said = said
        self.wait = wait

    @property
    def passes(self) -> bool:
        """Whether the same request may be answered later."""
        return self.status in (408, 429) or self.status >= 500


class UnreachableError(EngineError):
    """Nobody answered, or the connection broke. `passes`: trying again may help."""

    def __init__(self, message: str, *, fix: str | None = None, passes: bool = True) -> None:
        super().__init__(message, fix=fix)
        self.passes = passes


def words(body: bytes, key: str = "") -> str:
    """Return what a server says in the body of an error, without the `key` and not too long."""
    text = body.decode(errors="replace")
    try:
        found = _message(json.loads(text))
    except (ValueError, RecursionError):
        found = ""
    return hide(" ".join((found or text).split())[:_LONGEST] or "(it said no more)", key)


def hide(text: str, key: str) -> str:
    """Return a text without the key, which some servers repeat."""
    return text.replace(key, "********") if key else text


def _message(value: Any) -> str:
    """Find the words in the shapes that servers write errors in."""
    if isinstance(value, list) and value:
        return _message(value[0])
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    for name in ("error", "message", "detail", "msg"):
        if name in value and (found := _message(value[name])):
            return found
    return ""


def retry_after(header: str | None) -> float | None:
    """Read the header Retry-After (RFC 9110, 10.2.3): seconds, or a date."""
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds < float("inf") else None  # NaN is not, either

"""Writes messages as Harmony's text and remembers which control tokens are its own."""

from __future__ import annotations

from palaver.core.format import Rendered
from palaver.formats._marks import merge
from palaver.formats._tokens import ControlTokens
from palaver.formats.parsers.harmony import CHANNEL, CONSTRAIN, MESSAGE, START

END, RETURN, CALL = "<|end|>", "<|return|>", "<|call|>"
MARKERS = (START, CHANNEL, CONSTRAIN, MESSAGE, END, RETURN, CALL)


class Writer:
    """A conversation's text while it is written."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[str] = []
        self._own: list[tuple[int, int]] = []

    def message(
        self,
        author: str,
        text: str,
        *,
        recipient: str = "",
        channel: str = "",
        content_type: str = "",
        end: str = END,
    ) -> None:
        """Write one message. A content type may begin with the marker of a constrained one."""
        self.begin(author + (f" to={recipient}" if recipient else ""))
        if channel:
            self._mark(CHANNEL)
            self._say(channel)
        if content_type:
            self._say(" ")
            if content_type.startswith(CONSTRAIN):
                self._mark(CONSTRAIN)
            self._say(content_type.removeprefix(CONSTRAIN))
        self._mark(MESSAGE)
        self._say(text)
        self._mark(end)

    def begin(self, header: str) -> None:
        """Begin a message, or ask for one."""
        self._mark(START)
        self._say(header)

    def rendered(self, control: ControlTokens) -> Rendered:
        """Return the text; every control token in it that was not written by `_mark` is literal."""
        text = "".join(self._parts)
        own = iter([*self._own, (self.size, self.size)])  # the last one ends behind any token
        literal: list[tuple[int, int]] = []
        start, end = next(own)
        for a, b in control.find(text):
            while end <= a:
                start, end = next(own)
            literal += (a, min(b, start)), (max(a, end), b)
        return Rendered(text, merge(piece for piece in literal if piece[0] < piece[1]))

    def _mark(self, marker: str) -> None:
        self._own.append((self.size, self.size + len(marker)))
        self._say(marker)

    def _say(self, text: str) -> None:
        self._parts.append(text)
        self.size += len(text)

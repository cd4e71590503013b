"""A reply with a thinking block before the text: `<think>…</think>`.

The block counts at the beginning of a reply alone; elsewhere its tags are text. White space
before and after each tag belongs to the tag.
"""

from __future__ import annotations

from palaver.formats.parsers._base import Markers, StepParser, blank_end, starts

_OPEN = "<think>"
_CLOSE = Markers("</think>", "\n</think>", "\n\n</think>")


class ThinkParser(StepParser):
    """Parts reasoning from text."""

    def __init__(self, *, opened: bool = False) -> None:
        """`opened`: the prompt has written `<think>` already."""
        super().__init__()
        self._blank: list[str] = []
        self._again = True  # a model may repeat the tag that it or its prompt wrote
        self._step = self._opened if opened else self._start

    def _start(self) -> None:
        """Before anything but white space: is there a thinking block at all?"""
        at = blank_end(self._text, self._at)
        self._blank.append(self._text[self._at : at])
        self._at = at
        if at == len(self._text):
            return
        here = starts(self._text, at, _OPEN)
        if here:
            self._at += len(_OPEN)
            self._step = self._opened
        elif here is False:
            self._text, self._at = "".join(self._blank) + self._text[at:], 0
            self._step = self._body
        if here is not None:
            self._blank.clear()

    def _opened(self) -> None:
        """Behind `<think>`: white space, and perhaps the tag once more."""
        self._at = blank_end(self._text, self._at)
        here = starts(self._text, self._at, _OPEN) if self._again else False
        if here:
            self._at += len(_OPEN)
            self._again = False
        elif here is False and self._at < len(self._text):
            self._step = self._reasoning

    def _reasoning(self) -> None:
        end, behind = _CLOSE.cut(self._text, self._at)
        self._think(self._text[self._at : end])
        self._at = behind
        if behind > end:
            self._step = self._gap

    def _gap(self) -> None:
        """White space before the text."""
        self._at = blank_end(self._text, self._at)
        if self._at < len(self._text):
            self._step = self._body

    def _body(self) -> None:
        self._say(self._text[self._at :])
        self._at = len(self._text)

    def _end(self, rest: str) -> None:
        if self._step in (self._reasoning, self._opened):
            self._think(rest)
        else:
            self._say("".join(self._blank) + rest)
            self._blank.clear()


PARSER = ThinkParser

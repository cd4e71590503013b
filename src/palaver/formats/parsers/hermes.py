"""Tool calls as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, with a thinking block.

The dialect of Hermes 2 Pro, Qwen 2.5, Qwen 3 and many others
(https://github.com/NousResearch/Hermes-Function-Calling). White space around the tags belongs
to the tags; a `<tool_call>` that no `{` follows is text.
"""

from __future__ import annotations

from palaver.formats.parsers._base import Markers, blank_end, starts
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers.think import ThinkParser

_CLOSE = "</tool_call>"
_OPEN = Markers("<tool_call>", "\n<tool_call>", "\n\n<tool_call>")


class HermesParser(ThinkParser):
    """Parts reasoning, text and calls."""

    def __init__(self, *, opened: bool = False) -> None:
        """`opened`: the prompt has written `<think>` already."""
        super().__init__(opened=opened)
        self._calls = 0
        self._tag: list[str] = []  # an opening tag and what follows while it may be text
        self._call: JsonCall | None = None

    def _body(self) -> None:
        end, behind = _OPEN.cut(self._text, self._at)
        self._say(self._text[self._at : end])
        self._at = behind
        if behind > end:
            self._tag = [self._text[end:behind]]
            self._step = self._tagged

    def _tagged(self) -> None:
        """Behind `<tool_call>`: is there an object?"""
        at = blank_end(self._text, self._at)
        self._tag.append(self._text[self._at : at])
        self._at = at
        if at == len(self._text):
            return
        if self._text[at] == "{":
            self._call = JsonCall(self._calls, _CLOSE, self._emit)
            self._calls += 1
            self._step = self._inside
        else:
            self._say("".join(self._tag))
            self._step = self._body
        self._tag = []

    def _inside(self) -> None:
        assert self._call is not None
        self._at = self._call.read(self._text, self._at)
        if self._call.done:
            self._call = None
            self._step = self._closing

    def _closing(self) -> None:
        """Behind the object: white space, braces too many and the closing tag, if it is there."""
        while self._text[self._at : self._at + 1] in (" ", "\t", "\r", "\n", "}"):
            self._at += 1
        if self._at == len(self._text):
            return
        here = starts(self._text, self._at, _CLOSE)
        if here:
            self._at += len(_CLOSE)
        if here is not None:
            self._step = self._gap

    def _end(self, rest: str) -> None:
        if self._call is not None:
            self._call.cut_off(rest)
            self._call = None
        elif self._step == self._closing:
            self._say("" if _CLOSE.startswith(rest) else rest)  # a tag that was cut off
        elif self._tag:
            self._say("".join(self._tag) + rest)
            self._tag = []
        else:
            super()._end(rest)


PARSER = HermesParser

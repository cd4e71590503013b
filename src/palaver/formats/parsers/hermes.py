"""Tool calls as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, with a thinking block.

The dialect of Hermes 2 Pro, Qwen 2.5, Qwen 3 and many others
(https://github.com/NousResearch/Hermes-Function-Calling). White space around the tags belongs
to the tags. What stands between the tags and is no object is a call with an error; without a
closing tag nearby a `<tool_call>` that no `{` follows is text, and at a reply's very end nothing.
"""

from __future__ import annotations

from palaver.formats.parsers._base import Markers, blank_end, starts
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers.think import ThinkParser

_CLOSE = "</tool_call>"
_OPEN = Markers("<tool_call>")
_NEAR = 256  # characters in which a tag that no object follows must close to be a call


class HermesParser(ThinkParser):
    """Parts reasoning, text and calls."""

    def __init__(self, *, opened: bool = False) -> None:
        """`opened`: the prompt has written `<think>` already."""
        super().__init__(opened=opened)
        self._calls = 0
        self._tag = ""  # an opening tag while it may be text
        self._gaps: list[str] = []  # white space while it may belong to a tag
        self._call: JsonCall | None = None

    def _body(self) -> None:
        end, behind = _OPEN.cut(self._text, self._at)
        text = self._text[self._at : end]
        bare = text.rstrip()
        if bare:
            self._say("".join(self._gaps) + bare)
            self._gaps = []
        self._gaps.append(text[len(bare) :])
        self._at = behind
        if behind > end:
            self._tag = "".join(self._gaps) + self._text[end:behind]
            self._gaps = []
            self._step = self._tagged

    def _tagged(self) -> None:
        """Behind `<tool_call>`: is there an object, or another thing that a tag closes?"""
        at = blank_end(self._text, self._at)
        self._gaps.append(self._text[self._at : at])
        self._at = at
        if at == len(self._text):
            return
        close = self._text.find(_CLOSE, at, at + _NEAR)
        again = self._text.find("<tool_call>", at, close if close >= 0 else at + _NEAR)
        if self._text[at] == "{" or (close >= 0 and again < 0):
            self._call = JsonCall(self._calls, _CLOSE, self._emit)
            self._calls += 1
            self._step = self._inside
        elif again < 0 and len(self._text) - at < _NEAR:
            return
        else:
            self._say(self._tag + "".join(self._gaps))
            self._step = self._body
        self._tag = ""
        self._gaps = []

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
        elif self._step == self._tagged:
            self._say(self._tag + "".join(self._gaps) + rest if rest else "")
        elif self._step == self._body:
            self._say("".join(self._gaps) + rest)
        else:
            super()._end(rest)


PARSER = HermesParser

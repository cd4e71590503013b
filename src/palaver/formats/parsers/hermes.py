"""Tool calls as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, with a thinking block.

The dialect of Hermes 2 Pro, Qwen 2.5, Qwen 3, Granite 4 and many others
(https://github.com/NousResearch/Hermes-Function-Calling). White space around the tags belongs
to the tags. What stands between the tags and is no object is a call with an error; without a
closing tag nearby a `<tool_call>` that no `{` follows is text, and at a reply's very end nothing.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim, starts
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall

_CLOSE = "</tool_call>"


class HermesParser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<tool_call>",)
    TIGHT = True
    LIKELY = re.compile(r"\{")
    CLOSE = _CLOSE

    def _reader(self, marker: str) -> Reader:
        return JsonCall(self._next(), _CLOSE, self._emit)

    def _read(self) -> None:
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
        if self._step == self._closing:
            self._say("" if _CLOSE.startswith(rest) else rest)  # a tag that was cut off
        else:
            super()._end(rest)


PARSER = HermesParser
_WRITES = claim("<tool_call>", no=("<arg_key>", "<function=", "<tool_calls>", "minimax[>["))
_KNOWS_NO_TOOLS = claim(no=("tools", "tool_calls"))  # tools and calls are folded into this dialect


def claims(template: str) -> bool:
    """Say whether a template writes such calls, or none at all."""
    return _WRITES(template) or _KNOWS_NO_TOOLS(template)


CLAIMS = claims

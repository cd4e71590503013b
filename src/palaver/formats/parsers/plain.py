"""A reply of a model that knows no tools: text, and calls as JSON where tools were offered.

Such a model is told to write `<tool_call>{"name": …, "arguments": {…}}</tool_call>`. Many write
the object in a fenced block or bare instead: that is a call where its name is an offered tool's,
else it is an example and stays text. Without tools nothing is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import NEAR, Reader
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.parsers.think import ThinkParser

_FENCE = "```"
_INSIDE = (
    r'\s*(?:"type"\s*:\s*"function"\s*,\s*)?(?:"function"\s*:\s*\{\s*)?'
    r'"name"\s*:\s*"(?P<name>[^"\\]*)"'
)
_NOT_INSIDE = r'\s*(?:[^\s"]|"(?!name|type|func)\w{4})'
_WORD = r"(?:json|tool_calls?|tool_code)"
_CALL = {
    "{": re.compile(_INSIDE),
    "[": re.compile(r"\s*\{" + _INSIDE),
    _FENCE: re.compile(rf"{_WORD}?[\s\[]*\{{{_INSIDE}"),
}
_NO_CALL = {
    "{": re.compile(_NOT_INSIDE),
    "[": re.compile(r"[^{]|\{" + _NOT_INSIDE),
    _FENCE: re.compile(
        rf"(?!{_WORD}?[\s\[{{])\w*\W|\w*[\s\[]+[^\s\[{{]|\w*[\s\[]*\{{{_NOT_INSIDE}"
    ),
}


class PlainParser(HermesParser):
    """Hands all text on, or parts reasoning, text and calls."""

    OPENS: ClassVar[tuple[str, ...]] = ("<tool_call>", _FENCE, "{", "[")
    BARE = ("{", "[")

    def __init__(self, *, opened: bool = False, tools: Sequence[ToolSpec] = ()) -> None:
        """`opened`: the prompt has begun a thinking block; `tools`: what the model was told."""
        super().__init__(opened=opened, tools=tools)
        if not opened and not self._looks():
            self._step = self._body

    def _looks(self) -> bool:
        """Say whether calls are looked for at all."""
        return bool(self._tools)

    def _body(self) -> None:
        if self._looks():
            super()._body()
        else:
            ThinkParser._body(self)

    def _likely(self, at: int) -> bool | None:
        tag = self._tag.lstrip()
        if tag not in _CALL:
            return super()._likely(at)
        found = _CALL[tag].match(self._text, at, at + NEAR)
        if found:
            return not self._tools or found["name"] in self._tools
        if _NO_CALL[tag].match(self._text, at, at + NEAR) or len(self._text) - at >= NEAR:
            return False
        return None

    def _reader(self, marker: str) -> Reader:
        if marker not in _CALL:
            self._closer = self.CLOSE
            return super()._reader(marker)
        calls = self._list(_FENCE if marker == _FENCE else "")
        if marker in self.BARE:
            calls.read(marker, 0)
        else:
            while self._text[self._at] not in "[{":  # the word behind the fence
                self._at += 1
        return calls

    def _list(self, closer: str) -> CallList:
        """Make what reads objects, in a list or not, up to what closes them."""
        self._closer = closer
        return CallList(lambda _: JsonCall(self._next(), closer, self._emit), end=closer)


PARSER = PlainParser
CLAIMS = claim(no=("tools", "tool_calls"))

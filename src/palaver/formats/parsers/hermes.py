"""Tool calls as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, with a thinking block.

The dialect of Hermes 2 Pro, Qwen 2.5, Qwen 3, Granite 4 and many others
(https://github.com/NousResearch/Hermes-Function-Calling). White space around the tags belongs
to the tags. What stands between the tags and is no object is a call with an error; without a
closing tag nearby a `<tool_call>` that no `{` follows is text, and at a reply's very end nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from palaver.core.format import CallGrammar
from palaver.core.tool import ToolSpec
from palaver.formats.gbnf import LONGEST, calls
from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall

_LIST = re.compile(r"\[\s*\{")


class HermesParser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS: ClassVar[tuple[str, ...]] = ("<tool_call>",)
    TIGHT = True
    LIKELY = re.compile(rf"\{{|{_LIST.pattern}")
    CLOSE = "</tool_call>"

    @classmethod
    def grammar(cls, tools: Sequence[ToolSpec]) -> CallGrammar | None:
        """Return what calls of these tools have to look like; None where it would take long."""
        text = calls(tools, cls.OPENS[0], cls.CLOSE)
        return CallGrammar(text, cls.OPENS[0]) if len(text) <= LONGEST else None

    def _reader(self, marker: str) -> Reader:
        if _LIST.match(self._text, self._at):
            return CallList(self._one, end=self.CLOSE)
        return self._one("{")

    def _one(self, first: str) -> Reader:
        return JsonCall(self._next(), self.CLOSE, self._emit)

    def _read(self) -> None:
        self._step = self._closing

    def _closing(self) -> None:
        super()._closing()
        closed = self._text.endswith(self._closer, 0, self._at)
        if self._step == self._gap and not closed and self._text.startswith("{", self._at):
            self._tag = self.OPENS[0]  # one more in the same tag
            self._step = self._reads


PARSER = HermesParser
CLAIMS = claim(
    "<tool_call>", no=("<arg_key>", "<function=", "<tool_calls>", "minimax[>[", "<response>")
)

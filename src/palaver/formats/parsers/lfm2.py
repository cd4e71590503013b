"""LFM2: `<|tool_call_start|>[f(a=1), g(b='x')]<|tool_call_end|>`, calls as Python writes them.

Source: https://huggingface.co/LiquidAI/LFM2-1.2B, README. The models write JSON objects there
too where a system prompt asks for them.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers._literal_call import LiteralCall

_END = "<|tool_call_end|>"


class Lfm2Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<|tool_call_start|>",)
    DROPS = (_END, "<|im_end|>")

    def _reader(self, marker: str) -> Reader:
        return CallList(self._one, end=_END)

    def _one(self, first: str) -> Reader:
        if first == "{":
            return JsonCall(self._next(), _END, self._emit)
        return LiteralCall(self._next(), self._emit, end=_END)


PARSER = Lfm2Parser
CLAIMS = claim("List of tools: ")

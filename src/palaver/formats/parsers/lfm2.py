"""LFM2: `<|tool_call_start|>[f(a=1), g(b='x')]<|tool_call_end|>`, calls as Python writes them.

Source: https://huggingface.co/LiquidAI/LFM2-1.2B, README. The models write JSON objects there
too where a system prompt asks for them; the templates escape no quotes.
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver.core.messages import ToolCall
from palaver.formats._dicts import Change, call_text, json_object
from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers._literal_call import LOOSE_PYTHON, LiteralCall

_END = "<|tool_call_end|>"


def _written(call: ToolCall, change: Change) -> str:
    value = json_object(call.arguments)
    if value is None or not all(map(str.isidentifier, value)):
        return call_text(call, change)
    return change(f"{call.name}({', '.join(f'{k}={v!r}' for k, v in value.items())})")


class Lfm2Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<|tool_call_start|>",)
    DROPS = (_END, "<|im_end|>")

    @classmethod
    def write(cls, calls: Sequence[ToolCall], change: Change) -> str:
        """Write calls, for a template that does not (LFM2's first ones)."""
        return f"{cls.OPENS[0]}[{', '.join(_written(c, change) for c in calls)}]{_END}"

    def _reader(self, marker: str) -> Reader:
        return CallList(self._one, end=_END)

    def _one(self, first: str) -> Reader:
        if first == "{":
            return JsonCall(self._next(), _END, self._emit)
        return LiteralCall(self._next(), self._emit, LOOSE_PYTHON, _END)


PARSER = Lfm2Parser
CLAIMS = claim("List of tools: ")

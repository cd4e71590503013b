"""MiniMax M2: `<invoke name="f"><parameter name="k">v</parameter></invoke>` in a section.

Source: https://huggingface.co/MiniMaxAI/MiniMax-M2, docs/tool_calling_guide.md.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import invoke_shape
from palaver.formats.parsers._xml_call import XmlCall

_SHAPE = invoke_shape("")


class MinimaxM2Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<invoke name=",)
    SECTION = (("<minimax:tool_call>",), ("</minimax:tool_call>",))

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = MinimaxM2Parser
CLAIMS = claim("<minimax:tool_call>")

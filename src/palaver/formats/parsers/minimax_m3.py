"""MiniMax M3: `<invoke name="f"><k>v</k></invoke>` nested as deep as values are, marked tags.

Source: the chat template of https://huggingface.co/MiniMaxAI/MiniMax-M3. Before each tag stands
the control token `]<]minimax[>[`; elements of a list are called `item`.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._tree_call import TreeCall

_MARK = "]<]minimax[>["


class MinimaxM3Parser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<mm:think>",)
    ENDS = ("</mm:think>",)
    OPENS = (f"{_MARK}<invoke name=",)
    SECTION = ((f"{_MARK}<tool_call>",), (f"{_MARK}</tool_call>",))

    def _reader(self, marker: str) -> Reader:
        return TreeCall(self._next(), self._emit, _MARK, self._tools)


PARSER = MinimaxM3Parser
CLAIMS = claim("<mm:think>", "]<]minimax[>[")

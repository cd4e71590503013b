"""Gemma 4: `<|tool_call>call:f{a:1,b:<|"|>x<|"|>}<tool_call|>`, reasoning in `<|channel>`.

Source: the chat template of https://huggingface.co/google/gemma-4-31B-it.
"""

from __future__ import annotations

import re
from typing import ClassVar

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._literal_call import LiteralCall, Style

_WORD = re.compile(r"[^\s\[\]{}:,<](?:[^\[\]{}:,<\n]*[^\s\[\]{}:,<])?")


def gemma_style(quote: str) -> Style:
    """Return how values are written whose texts stand in `quote` (or as JSON has them)."""
    return Style("{", (quote, '"'), (quote,), _WORD, "call:")


class Gemma4Parser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<|channel>",)
    ENDS = ("<channel|>",)
    LABEL = "thought\n"
    ANYWHERE = True
    OPENS = ("<|tool_call>",)
    DROPS = ("<tool_call|>", "<|tool_response>", "<turn|>")
    END: ClassVar[str] = "<tool_call|>"
    STYLE: ClassVar[Style] = gemma_style('<|"|>')

    def _reader(self, marker: str) -> Reader:
        return CallList(self._one, begins="c", end=self.END)

    def _one(self, first: str) -> Reader:
        return LiteralCall(self._next(), self._emit, self.STYLE, self.END)


PARSER = Gemma4Parser
CLAIMS = claim("<|tool_call>")

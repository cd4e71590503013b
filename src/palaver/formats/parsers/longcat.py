"""LongCat: GLM's pairs or a JSON object within `<longcat_tool_call>`, and `<longcat_think>`.

Source: https://huggingface.co/meituan-longcat/LongCat-Flash-Chat, tokenizer_config.json.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers._shapes import pair_shape
from palaver.formats.parsers._xml_call import XmlCall

_CLOSE = "</longcat_tool_call>"
_SHAPE = pair_shape("longcat_")


class LongcatParser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<longcat_think>",)
    ENDS = ("</longcat_think>",)
    OPENS = ("<longcat_tool_call>",)
    DROPS = (_CLOSE,)
    TIGHT = True
    CLOSE = _CLOSE
    LIKELY = re.compile(r"\{|[^<>\s][^<>\n]{0,127}\s*<(?:longcat_arg_key|/longcat_tool_call)>")

    def _reader(self, marker: str) -> Reader:
        if self._text.startswith("{", self._at):
            return JsonCall(self._next(), _CLOSE, self._emit)
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = LongcatParser
CLAIMS = claim("<longcat_tool_call>")

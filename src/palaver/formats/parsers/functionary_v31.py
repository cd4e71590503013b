"""Functionary 3.1 and Llama 3.1's custom calls: `<function=f>{…}</function>`, code bare.

Source: the chat template of https://huggingface.co/meetkai/functionary-medium-v3.1.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import Markers, claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._code_call import CodeCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_TAG = "<|python_tag|>"
_ENDS = Markers("<|eom_id|>", "<|eot_id|>")
_SEP = re.compile(">")


class FunctionaryV31Parser(DialectParser):
    """Parts text and calls."""

    OPENS = ("<function=", _TAG)
    DROPS = ("<|eom_id|>", "<|eot_id|>")
    TIGHT = True
    LIKELY = re.compile(r"[^<>\n]+>\s*\{")
    CLOSE = "</function>"

    def _likely(self, at: int) -> bool | None:
        return True if self._tag.endswith(_TAG) else super()._likely(at)

    def _reader(self, marker: str) -> Reader:
        if marker == _TAG:
            return CodeCall(self._next(), self._emit, _ENDS)
        return NamedCall(self._next(), self._emit, sep=_SEP, end="</function>")


PARSER = FunctionaryV31Parser
CLAIMS = claim("<function=", "<|python_tag|>", no=("<tool_call>",))

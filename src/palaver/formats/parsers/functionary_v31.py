"""Functionary 3.1 and Llama 3.1's custom calls: `<function=f>{…}</function>`.

Source: the chat template of https://huggingface.co/meetkai/functionary-medium-v3.1.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_SEP = re.compile(">")


class FunctionaryV31Parser(DialectParser):
    """Parts text and calls."""

    OPENS = ("<function=",)
    DROPS = ("<|eom_id|>", "<|eot_id|>")
    TIGHT = True
    LIKELY = re.compile(r"[^<>\n]+>\s*\{")
    CLOSE = "</function>"

    def _reader(self, marker: str) -> Reader:
        return NamedCall(self._next(), self._emit, sep=_SEP, end="</function>")


PARSER = FunctionaryV31Parser
CLAIMS = claim("<function=", "<|python_tag|>", no=("<tool_call>",))

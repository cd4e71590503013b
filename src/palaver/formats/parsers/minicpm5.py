"""MiniCPM 5: `<function name="f"><param name="k">v</param></function>`.

Source: the chat template of https://huggingface.co/openbmb/MiniCPM5-1B.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import invoke_shape
from palaver.formats.parsers._xml_call import XmlCall

_SHAPE = invoke_shape("", "", ("function", "param"))


class MiniCpm5Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<function name=",)
    LIKELY = re.compile(r"[\"'][^\"'<>]*[\"']\s*>\s*<(?:param |/function>)")
    CLOSE = "</function>"

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = MiniCpm5Parser
CLAIMS = claim('<function name="', "<param name=")

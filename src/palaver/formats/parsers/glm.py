"""Tool calls as `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

The dialect of GLM 4.5 to 4.7, Ling 3, Spark 2.5 and Laguna
(https://huggingface.co/zai-org/GLM-4.6, chat_template.jinja). These models may begin a call
while they think: the opening tag ends the reasoning.
"""

from __future__ import annotations

import re
from typing import ClassVar

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall
from palaver.formats.parsers._shapes import pair_shape
from palaver.formats.parsers._xml_call import Shape, XmlCall


class GlmParser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<tool_call>",)
    CUTS = ("<tool_call>",)
    TIGHT = True
    CLOSE = "</tool_call>"
    DROPS = ("</tool_call>",)
    LIKELY = re.compile(r"\{\s*\"name\"|[^<>\s][^<>\n]{0,127}\s*<(?:arg_key|/tool_call)>")
    MAYBE = re.compile(r"[\w.-]{1,64}\s*(?:<.*)?")
    SHAPE: ClassVar[Shape] = pair_shape()

    def _reader(self, marker: str) -> Reader:
        if self._text.startswith("{", self._at):  # as the models write it now and then
            return JsonCall(self._next(), self.CLOSE, self._emit)
        return XmlCall(self._next(), self._emit, self.SHAPE, self._tools)


PARSER = GlmParser
CLAIMS = claim("<arg_key>", "<tool_call>")

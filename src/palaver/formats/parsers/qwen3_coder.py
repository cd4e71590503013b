"""Tool calls as `<tool_call><function=f><parameter=k>v</parameter></function></tool_call>`.

The dialect of Qwen3-Coder, Qwen 3.5, Nemotron 3 and Step 3.5
(https://huggingface.co/Qwen/Qwen3-Coder-480B-A35B-Instruct, qwen3coder_tool_parser.py).
The models leave the outer tag out now and then.
"""

from __future__ import annotations

import re
from typing import ClassVar

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import function_shape
from palaver.formats.parsers._xml_call import Shape, XmlCall


class Qwen3CoderParser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<tool_call>", "<function=")
    DROPS = ("</tool_call>",)
    TIGHT = True
    CLOSE = "</tool_call>"
    LIKELY = re.compile(r"<function=|[^<>\n]+>\s*(?:<parameter=|</function>)")
    MAYBE = re.compile(r"<[^<>]*|[\w.-]+(?:>\s*(?:<[^<>]*)?)?")
    SHAPE: ClassVar[Shape] = function_shape("</tool_call>")

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, self.SHAPE, self._tools)


PARSER = Qwen3CoderParser
CLAIMS = claim("<tool_call>", "<function=")

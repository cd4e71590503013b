"""Llama 4 and Llama 3.2: `[f(a=1), g(b='x')]` in the text, in `<|python_start|>` or bare.

Source: https://github.com/meta-llama/llama-models, models/llama4/prompt_format.md.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._literal_call import LiteralCall


class PythonicParser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("[",)
    DROPS = ("<|python_start|>", "<|python_end|>", "<|python_tag|>", "<|eom|>", "<|eot|>")
    LIKELY = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)\s*\(\s*(?:\)|[A-Za-z_]\w*\s*=[^=])")
    UNLIKELY = re.compile(
        r"[^A-Za-z_]|[\w.-]+\s*[^\w.\s(-]|[\w.-]+\s+[\w.-]|"
        r"[\w.-]+\s*\(\s*(?:[^A-Za-z_)\s]|\w+\s*[^\w\s=]|\w+\s+\w)"
    )

    def _reader(self, marker: str) -> Reader:
        calls = CallList(lambda _: LiteralCall(self._next(), self._emit))
        calls.read(marker, 0)
        return calls


PARSER = PythonicParser
CLAIMS = claim("<|python_start|>")

"""Llama 3.1 to 3.3: `{"name": "f", "parameters": {…}}`, alone or behind `<|python_tag|>`.

Source: https://github.com/meta-llama/llama-models, models/llama3_1/prompt_format.md. Several
calls stand with `;` between them. A list of objects is taken too, as small models write it, and
so is a call behind words.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import NEAR, Reader
from palaver.formats.parsers._json_list import JsonListParser

_TAG = "<|python_tag|>"


class Llama3JsonParser(JsonListParser):
    """Parts text and calls."""

    OPENS = (_TAG, "{", "[")
    DROPS = ("<|eom_id|>", "<|eot_id|>")
    LIKELY = re.compile(
        r'(?:\{\s*)?"(?:type"\s*:\s*"function"\s*,\s*")?(?:name|function)"\s*:\s*"(?P<name>[^"\\]*)"\s*'
        r'(?:,\s*"(?:parameters|arguments)"\s*:|(?P<alone>\}))'
    )
    UNLIKELY = re.compile(r'[^"{]|(?:\{\s*)?"(?!type|name|func)\w{4}|\{\s*[^"\s]')

    def _likely(self, at: int) -> bool | None:
        if self._tag.endswith(_TAG):
            return True
        if (self._tag[-1] == "[") != self._text.startswith("{", at):
            return False
        found = self.LIKELY.match(self._text, at, at + NEAR)
        if found and found["alone"] and self._spoke:
            return False  # an object in a text, with nothing but a name
        return super()._likely(at)

    def _reader(self, marker: str) -> Reader:
        calls = CallList(self._one)
        if marker != _TAG:
            calls.read(marker, 0)
        return calls


PARSER = Llama3JsonParser
CLAIMS = claim("<|start_header_id|>", '{"name": ', no=("<tool_call>", "<function=", "functools"))

"""Llama 3.1 to 3.3: `{"name": "f", "parameters": {…}}`, alone or behind `<|python_tag|>`.

Source: https://github.com/meta-llama/llama-models, models/llama3_1/prompt_format.md. Several
calls stand with `;` between them. A list of objects is taken too, as small models write it, and
so is a call behind words.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import Markers, claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._code_call import CodeCall
from palaver.formats.parsers._dialect import NEAR, Reader
from palaver.formats.parsers._json_list import JsonListParser
from palaver.formats.parsers._literal_call import LiteralCall

_TAG = "<|python_tag|>"
_DOT_CALL = re.compile(r"\w+\.call\(")
_NAME = re.compile(r"\w+(?:\.c?a?l?l?)?")
_LONGEST = 64
_ENDS = Markers("<|eom_id|>", "<|eot_id|>")


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
            near = self._text[at : at + _LONGEST]
            undecided = near[0] not in "[{" and len(near) < _LONGEST and _NAME.fullmatch(near)
            return None if undecided else True
        if (self._tag[-1] == "[") != self._text.startswith("{", at):
            return False
        found = self.LIKELY.match(self._text, at, at + NEAR)
        if found and found["alone"] and self._spoke:
            return False  # an object in a text, with nothing but a name
        return super()._likely(at)

    def _reader(self, marker: str) -> Reader:
        if marker == _TAG and self._text[self._at] not in "[{":
            return self._built_in()
        calls = CallList(self._one)
        if marker != _TAG:
            calls.read(marker, 0)
        return calls

    def _built_in(self) -> Reader:
        """Read `brave_search.call(query="…")`, or code."""
        if _DOT_CALL.match(self._text, self._at):
            return LiteralCall(self._next(), self._emit)
        return CodeCall(self._next(), self._emit, _ENDS)


PARSER = Llama3JsonParser
CLAIMS = claim("<|start_header_id|>", '{"name": ', no=("<tool_call>", "<function=", "functools"))

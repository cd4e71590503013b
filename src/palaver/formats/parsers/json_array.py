"""Calls as a bare list of JSON objects: `[{"name": "f", "parameters": {…}}, …]`.

What models write that are forced into a list of calls by a grammar, and some that know no tools.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import Reader
from palaver.formats.parsers._json_list import JsonListParser


class JsonArrayParser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("[",)
    BARE = ("[",)
    LIKELY = re.compile(
        r'\{\s*"name"\s*:\s*"(?P<name>[^"\\]*)"\s*(?:,\s*"(?:parameters|arguments)"\s*:|\})'
    )
    UNLIKELY = re.compile(r'[^{]|\{\s*[^"\s]')

    def _reader(self, marker: str) -> Reader:
        calls = CallList(self._one)
        calls.read(marker, 0)
        return calls


PARSER = JsonArrayParser
CLAIMS = claim("\0")  # no template: a user's choice

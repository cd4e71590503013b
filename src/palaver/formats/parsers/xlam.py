"""xLAM: a list of JSON objects, bare, in a fence, in `<tool_call>` or behind `[TOOL_CALLS]`.

Source: https://huggingface.co/Salesforce/Llama-xLAM-2-8b-fc-r, README and chat template. Where
no tools were told any name counts.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import Reader
from palaver.formats.parsers.plain import PlainParser

_MARK = "[TOOL_CALLS]"


class XlamParser(PlainParser):
    """Parts reasoning, text and calls."""

    OPENS = (*PlainParser.OPENS, _MARK)
    LIKELY = re.compile(r"[\[{]")

    def _looks(self) -> bool:
        return True

    def _reader(self, marker: str) -> Reader:
        if marker not in ("<tool_call>", _MARK):
            return super()._reader(marker)
        return self._list("" if marker == _MARK else self.CLOSE)


PARSER = XlamParser
CLAIMS = claim('[{"name": "tool_call_name", "arguments": {')

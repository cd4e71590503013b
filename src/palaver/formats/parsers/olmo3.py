"""OLMo 3: `<function_calls>` with a call a line, as Python writes it but for `true` and `null`.

Source: the chat template of https://huggingface.co/allenai/Olmo-3-7B-Instruct.
"""

from __future__ import annotations

import string

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._literal_call import LiteralCall

_END = "</function_calls>"
_NAMES = string.ascii_letters + "_"


class Olmo3Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<function_calls>",)
    DROPS = (_END,)

    def _reader(self, marker: str) -> Reader:
        return CallList(self._one, begins=_NAMES, end=_END)

    def _one(self, first: str) -> Reader:
        return LiteralCall(self._next(), self._emit, end=_END)


PARSER = Olmo3Parser
CLAIMS = claim("<function_calls>", no=("atem",))

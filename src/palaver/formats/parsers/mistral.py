"""Mistral: `[TOOL_CALLS][{…}, {…}]` (old), `[TOOL_CALLS]f[CALL_ID]id[ARGS]{…}` (new), `[THINK]`.

Source: mistral-common's tokenizers v3 to v13
(https://github.com/mistralai/mistral-common/tree/main/src/mistral_common/tokens/tokenizers).
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall

_SEP = re.compile(r"\[ARGS\]|(?=\{)")


def _name(raw: str) -> tuple[str, str]:
    name, _, call_id = raw.partition("[CALL_ID]")
    return name.strip(), call_id.strip()


class MistralParser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("[THINK]",)
    ENDS = ("[/THINK]",)
    ANYWHERE = True
    OPENS = ("[TOOL_CALLS]",)
    DROPS = ("[/TOOL_CALLS]", "</s>")
    TIGHT = True
    LIKELY = re.compile("")

    def _reader(self, marker: str) -> Reader:
        if self._text[self._at] in "[{":
            return CallList(lambda _: JsonCall(self._next(), "", self._emit))
        return NamedCall(self._next(), self._emit, sep=_SEP, end="", name=_name)


PARSER = MistralParser
CLAIMS = claim("[TOOL_CALLS]")

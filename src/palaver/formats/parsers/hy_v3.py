"""Hunyuan 3: GLM's pairs behind `<tool_sep>` within `<tool_calls>`; tags may end in `:opensource`.

Source: the chat template of https://huggingface.co/tencent/Hy3-preview.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import pair_shape
from palaver.formats.parsers._xml_call import XmlCall

_SHAPE = pair_shape("", ("", ":opensource"), "tool_sep")


def _both(name: str) -> tuple[str, str]:
    return f"<{name}>", f"<{name}:opensource>"


class HyV3Parser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = _both("think")
    ENDS = _both("/think")
    CUTS = _both("tool_calls")
    OPENS = _both("tool_call")
    SECTION = (_both("tool_calls"), _both("/tool_calls"))

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = HyV3Parser
CLAIMS = claim("<tool_sep{}>")

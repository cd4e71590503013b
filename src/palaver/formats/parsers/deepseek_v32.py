"""DeepSeek V3.2 and V4: DSML, `<｜DSML｜invoke name="f">`; parameters say if they are text.

Source: https://huggingface.co/deepseek-ai/DeepSeek-V3.2, encoding/encoding_dsv32.py.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import invoke_shape
from palaver.formats.parsers._xml_call import XmlCall

_SHAPE = invoke_shape("｜DSML｜", "string")
_SECTIONS = ("function_calls", "tool_calls")


class DeepseekV32Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<｜DSML｜invoke name=",)
    SECTION = (
        tuple(f"<｜DSML｜{name}>" for name in _SECTIONS),
        tuple(f"</｜DSML｜{name}>" for name in _SECTIONS),
    )
    DROPS = ("<｜end▁of▁sentence｜>",)

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = DeepseekV32Parser
CLAIMS = claim("｜DSML｜")

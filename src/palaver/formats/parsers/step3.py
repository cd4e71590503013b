"""Step 3: `<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="f">…` in a section.

Source: https://huggingface.co/stepfun-ai/step3, chat template and tokenizer_config.json.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import invoke_shape
from palaver.formats.parsers._xml_call import XmlCall

_SHAPE = invoke_shape("steptml:")
_BEGIN = "<｜tool_call_begin｜>"


class Step3Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<steptml:invoke name=",)
    SECTION = (("<｜tool_calls_begin｜>",), ("<｜tool_calls_end｜>",))
    DROPS = (_BEGIN + "function<｜tool_sep｜>", _BEGIN, "<｜tool_call_end｜>")

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = Step3Parser
CLAIMS = claim("<steptml:invoke")

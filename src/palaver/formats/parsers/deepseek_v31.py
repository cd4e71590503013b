"""DeepSeek V3.1: `<｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜>` in a section.

Source: https://huggingface.co/deepseek-ai/DeepSeek-V3.1, tokenizer_config.json.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_SEP = re.compile(re.escape("<｜tool▁sep｜>") + r"|(?=\{)")  # the models leave it out at times
_END = "<｜tool▁call▁end｜>"
FENCE = re.compile(r"\s*(?:```(?:json)?)?\s*")  # V3's; these models write it now and then
# R1's distillations spell the section's marker with other tokens, as llama.cpp found
_SPELT = ("tool_calls_begin", "tool calls begin", r"tool\_calls\_begin", "tool▁calls")


class DeepseekV31Parser(DialectParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<｜tool▁call▁begin｜>",)
    SECTION = (
        tuple(f"<｜{name}｜>" for name in ("tool▁calls▁begin", *_SPELT)),
        ("<｜tool▁calls▁end｜>",),
    )
    DROPS = (
        "<｜tool▁output▁begin｜>",
        "<｜tool▁output▁end｜>",
        "<｜tool▁outputs▁begin｜>",
        "<｜tool▁outputs▁end｜>",
        "<｜end▁of▁sentence｜>",
        _END,
    )

    def _reader(self, marker: str) -> Reader:
        return NamedCall(self._next(), self._emit, sep=_SEP, end=_END, skip=FENCE)


PARSER = DeepseekV31Parser
CLAIMS = claim("<｜tool▁sep｜>", no=("```json",))

"""Kimi K2: `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.

Source: https://huggingface.co/moonshotai/Kimi-K2-Instruct, docs/tool_call_guidance.md. What
stands before the arguments is the call's id. The models begin calls while they think; a bare
number for a name means the only tool there is.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_SEP = re.compile(re.escape("<|tool_call_argument_begin|>"))
_END = "<|tool_call_end|>"
_ID = re.compile(r"(?:functions\.)?(?P<name>.*?)(?::\d+)?", re.DOTALL)


class KimiK2Parser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<think>", "◁think▷")
    ENDS = ("</think>", "◁/think▷")
    CUTS = ("<|tool_calls_section_begin|>",)
    OPENS = ("<|tool_call_begin|>",)
    SECTION = (("<|tool_calls_section_begin|>",), ("<|tool_calls_section_end|>",))
    DROPS = ("<|tool_call_argument_begin|>", _END, "<|im_end|>")

    def _reader(self, marker: str) -> Reader:
        return NamedCall(self._next(), self._emit, sep=_SEP, end=_END, name=self._named)

    def _named(self, raw: str) -> tuple[str, str]:
        raw = raw.strip()
        found = _ID.fullmatch(raw)
        name = found["name"] if found else raw
        if name.isdigit() and len(self._tools) == 1:
            (name,) = self._tools
        return name, raw


PARSER = KimiK2Parser
CLAIMS = claim("<|tool_call_argument_begin|>")

"""Kimi K2: `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.

Source: https://huggingface.co/moonshotai/Kimi-K2-Instruct, docs/tool_call_guidance.md. What
stands before the arguments is the call's id. The models begin calls while they think, and may
write a bare number for an id: that means the only tool that takes the arguments. An id that has
no name in it belongs to a call without a name.
"""

from __future__ import annotations

import re
from typing import Any

from palaver.formats._dicts import json_object
from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_SEP = re.compile(re.escape("<|tool_call_argument_begin|>") + r"|(?=\{)")
_END = "<|tool_call_end|>"
_ID = re.compile(r"(?:functions\.)?(?P<name>(?!\d+\Z)[\w.-]+)(?::\d+)?")


class KimiK2Parser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<think>", "◁think▷")
    ENDS = ("</think>", "◁/think▷")
    CUTS = ("<|tool_calls_section_begin|>", "<|tool_call_section_begin|>")
    OPENS = ("<|tool_call_begin|>",)
    SECTION = (
        ("<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"),
        ("<|tool_calls_section_end|>", "<|tool_call_section_end|>"),
    )
    DROPS = ("<|tool_call_argument_begin|>", _END, "<|im_end|>")

    def _reader(self, marker: str) -> Reader:
        return NamedCall(
            self._next(), self._emit, sep=_SEP, end=_END, name=self._named, guess=self._fitting
        )

    def _named(self, raw: str) -> tuple[str | None, str]:
        raw = raw.strip()
        if raw in self._tools:
            return raw, raw
        found = _ID.fullmatch(raw)
        return found and found["name"], raw

    def _fitting(self, call_id: str, arguments: str) -> str:
        """Return the name of the only tool that a call without one can mean."""
        if not call_id.isdigit():
            return ""
        value = json_object(arguments)
        names = list(self._tools)
        if len(names) > 1:
            names = [name for name in names if _takes(self._tools[name].parameters, value)]
        return names[0] if len(names) == 1 else ""


def _takes(schema: dict[str, Any], arguments: dict[str, Any] | None) -> bool:
    """Say whether arguments have all keys that a tool requires, and none that it doesn't know."""
    if not arguments:
        return False
    known, required = schema.get("properties"), schema.get("required")
    if not isinstance(known, dict) or not arguments.keys() <= known.keys():
        return False
    return not isinstance(required, list) or all(key in list(arguments) for key in required)


PARSER = KimiK2Parser
CLAIMS = claim("<|tool_call_argument_begin|>")

"""Phi-4-mini: `<|tool_call|>[{"name": "f", "arguments": {…}}]<|/tool_call|>`.

Source: https://huggingface.co/microsoft/Phi-4-mini-instruct, README; the models write
`functools` for the marker now and then.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class Phi4Parser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<|tool_call|>", "functools")
    DROPS = ("<|/tool_call|>", "<|end|>")
    END = "<|/tool_call|>"


PARSER = Phi4Parser
CLAIMS = claim("<|/tool_call|>")

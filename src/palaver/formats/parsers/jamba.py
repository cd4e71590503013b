"""Calls as `<tool_calls>[{"name": "f", "arguments": {…}}]</tool_calls>`, or one object a line.

Source: https://huggingface.co/ai21labs/AI21-Jamba-Mini-1.6; MiniMax M1 and Hunyuan A13B write
the same, Hunyuan its answer in `<answer>`.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class JambaParser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<tool_calls>",)
    DROPS = ("</tool_calls>", "<answer>", "</answer>")
    END = "</tool_calls>"
    TIGHT = True


PARSER = JambaParser
CLAIMS = claim("<tool_calls>", no=("thinking",))

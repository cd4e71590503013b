"""Command R7B, Command A: `<|START_ACTION|>[{"tool_name": "f", "parameters": {…}}]<|END_ACTION|>`.

Source: https://huggingface.co/CohereForAI/c4ai-command-r7b-12-2024, tool_use template.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class CommandR7bParser(JsonListParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<|START_THINKING|>",)
    ENDS = ("<|END_THINKING|>",)
    ANYWHERE = True
    OPENS = ("<|START_ACTION|>",)
    DROPS = (
        "<|END_ACTION|>",
        "<|START_RESPONSE|>",
        "<|END_RESPONSE|>",
        "<|START_TEXT|>",
        "<|END_TEXT|>",
        "<|END_OF_TURN_TOKEN|>",
    )
    END = "<|END_ACTION|>"
    NAME = "tool_name"
    TIGHT = True


PARSER = CommandR7bParser
CLAIMS = claim("<|START_ACTION|>")

"""Granite 3: `<|tool_call|>[{"name": "f", "arguments": {…}}]`, and `<think>` with `<response>`.

Source: https://huggingface.co/ibm-granite/granite-3.3-2b-instruct, tokenizer_config.json;
granite-3.2 thinks between two phrases instead of tags.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class Granite3Parser(JsonListParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<think>", "Here is my thought process:", "Here's my thought process:")
    ENDS = ("</think>", "Here is my response:", "Here's my response:")
    OPENS = ("<|tool_call|>", "<tool_call>")
    DROPS = ("</tool_call>", "<response>", "</response>", "<|end_of_text|>")
    TIGHT = True


PARSER = Granite3Parser
CLAIMS = claim("<|tool_call|>", no=("<|/tool_call|>",))

"""Apertus: `<|tools_prefix|>[{"f": {…}}, …]<|tools_suffix|>`, reasoning between inner tags.

Source: the chat template of https://huggingface.co/swiss-ai/Apertus-8B-Instruct-2509.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class ApertusParser(JsonListParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<|inner_prefix|>",)
    ENDS = ("<|inner_suffix|>",)
    ANYWHERE = True
    OPENS = ("<|tools_prefix|>",)
    DROPS = ("<|tools_suffix|>", "<|assistant_end|>")
    END = "<|tools_suffix|>"
    KEYED = True


PARSER = ApertusParser
CLAIMS = claim("<|tools_prefix|>")

"""InternLM 2 and 3: `<|action_start|><|plugin|>{"name": "f", "parameters": {…}}<|action_end|>`.

Source: https://github.com/InternLM/InternLM, chat/chat_format.md.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class InternlmParser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<|plugin|>",)
    DROPS = ("<|action_start|>", "<|action_end|>", "<|im_end|>")
    END = "<|action_end|>"
    TIGHT = True


PARSER = InternlmParser
CLAIMS = claim("<|plugin|>")

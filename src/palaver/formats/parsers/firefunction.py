"""Firefunction 2: `functools[{"name": "f", "arguments": {…}}, …]`.

Source: the chat template of https://huggingface.co/fireworks-ai/llama-3-firefunction-v2.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class FirefunctionParser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("functools",)
    DROPS = ("<|eot_id|>",)
    TIGHT = True
    LIKELY = re.compile(r"\[")
    UNLIKELY = re.compile(r"[^\[]")


PARSER = FirefunctionParser
CLAIMS = claim("functools[")

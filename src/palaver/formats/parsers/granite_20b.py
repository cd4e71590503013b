"""Granite 20B for function calling: `<function_call> {"name": "f", "arguments": {…}}` each.

Source: https://huggingface.co/ibm-granite/granite-20b-functioncalling, README.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class Granite20bParser(JsonListParser):
    """Parts text and calls."""

    OPENS = ("<function_call>",)
    DROPS = ("</function_call>", "<|endoftext|>")
    TIGHT = True


PARSER = Granite20bParser
CLAIMS = claim("<function_call>")

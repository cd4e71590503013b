"""Nemotron Nano 2: `<TOOLCALL>[{"name": "f", "arguments": {…}}]</TOOLCALL>`.

Source: the chat template of https://huggingface.co/nvidia/NVIDIA-Nemotron-Nano-9B-v2.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class NemotronV2Parser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<TOOLCALL>",)
    DROPS = ("</TOOLCALL>", "<SPECIAL_12>")
    END = "</TOOLCALL>"
    TIGHT = True


PARSER = NemotronV2Parser
CLAIMS = claim("<TOOLCALL>")

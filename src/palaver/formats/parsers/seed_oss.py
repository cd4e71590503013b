"""Seed-OSS: Qwen3-Coder's tags within `<seed:tool_call>`, and `<seed:think>`.

Source: the chat template of https://huggingface.co/ByteDance-Seed/Seed-OSS-36B-Instruct.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._shapes import function_shape
from palaver.formats.parsers.qwen3_coder import Qwen3CoderParser


class SeedOssParser(Qwen3CoderParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<seed:think>",)
    ENDS = ("</seed:think>",)
    OPENS = ("<seed:tool_call>", "<function=")
    DROPS = ("</seed:tool_call>",)
    CLOSE = "</seed:tool_call>"
    SHAPE = function_shape("</seed:tool_call>")


PARSER = SeedOssParser
CLAIMS = claim("<seed:tool_call>")

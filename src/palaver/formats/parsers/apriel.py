"""Apriel: Jamba's calls, and reasoning in `<thinking>` (1.5) or before a mark (1.6).

Source: the chat templates of https://huggingface.co/ServiceNow-AI/Apriel-1.5-15b-Thinker and
Apriel-1.6-15b-Thinker, whose prompts end in `Here are my reasoning steps:`.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers.jamba import JambaParser


class AprielParser(JambaParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<thinking>", "<think>", "Here are my reasoning steps:")
    ENDS = ("</thinking>", "</think>", "[BEGIN FINAL RESPONSE]")
    DROPS = ("</tool_calls>", "[END FINAL RESPONSE]", "<|end|>")


PARSER = AprielParser
CLAIMS = claim("<tool_calls>", "thinking")

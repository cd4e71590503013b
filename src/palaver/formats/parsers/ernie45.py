"""ERNIE 4.5: Hermes' calls, and the answer in `<response>…</response>`.

Source: https://huggingface.co/baidu/ERNIE-4.5-21B-A3B-Thinking, chat template.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers.hermes import HermesParser


class Ernie45Parser(HermesParser):
    """Parts reasoning, text and calls."""

    DROPS = ("<response>", "</response>")


PARSER = Ernie45Parser
CLAIMS = claim("<tool_call>", "<response>", no=("minimax[>[",))

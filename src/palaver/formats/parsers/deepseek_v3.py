"""DeepSeek V3 and R1: `function<｜tool▁sep｜>f`, then the arguments as a fenced block of JSON.

Source: https://huggingface.co/deepseek-ai/DeepSeek-V3-0324, tokenizer_config.json.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._dialect import Reader
from palaver.formats.parsers.deepseek_v31 import FENCE, DeepseekV31Parser

_SEP = re.compile(r"(?=```|\{)")
_END = "<｜tool▁call▁end｜>"


def _name(raw: str) -> tuple[str, str]:
    kind, _, name = raw.rpartition("<｜tool▁sep｜>")
    kind, name = kind.strip(), name.strip()
    if not name:  # as V3.1 writes it
        return kind, ""
    return name, "" if kind == "function" else kind


class DeepseekV3Parser(DeepseekV31Parser):
    """Parts reasoning, text and calls."""

    def _reader(self, marker: str) -> Reader:
        return NamedCall(self._next(), self._emit, sep=_SEP, end=_END, name=_name, skip=FENCE)


PARSER = DeepseekV3Parser
CLAIMS = claim("<｜tool▁sep｜>", "```json")

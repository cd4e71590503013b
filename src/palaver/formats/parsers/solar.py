"""Solar Open: `<|tool_call:begin|>id<|tool_call:name|>f<|tool_call:args|>{…}<|tool_call:end|>`.

Source: the chat template of https://huggingface.co/upstage/Solar-Open-100B. A reply is a chain
of messages: `<|think|>…<|end|>`, then `<|content|>…` or `<|tool_calls|>…`.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_SEP = re.compile(re.escape("<|tool_call:args|>"))
_END = "<|tool_call:end|>"


def _name(raw: str) -> tuple[str, str]:
    call_id, _, name = raw.rpartition("<|tool_call:name|>")
    return name.strip(), call_id.strip()


class SolarParser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<|think|>",)
    ENDS = ("<|end|>",)
    OPENS = ("<|tool_call:begin|>",)
    SECTION = (("<|tool_calls|>",), ("<|calls|>",))
    DROPS = ("<|begin|>assistant", "<|content|>", "<|end|>", "<|flush|>", _END)

    def _reader(self, marker: str) -> Reader:
        return NamedCall(self._next(), self._emit, sep=_SEP, end=_END, name=_name)


PARSER = SolarParser
CLAIMS = claim("<|tool_call:args|>")

"""Kimi K3: `<|open|>call tool="f"<|sep|>` with typed arguments between control tokens.

Source: the chat template of https://huggingface.co/moonshotai/Kimi-K3. An argument says whether
its value is text: `<|open|>argument key="k" type="string"<|sep|>v<|close|>argument<|sep|>`.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._xml_call import Shape, XmlCall

_SEP = re.escape("<|sep|>")
_OPEN = re.escape("<|open|>argument")
_CLOSE = re.escape("<|close|>argument<|sep|>")
_END = re.escape("<|close|>call<|sep|>")
_SHAPE = Shape(
    head=re.compile(rf'"(?P<name>[^"<>]*)"[^<>]*{_SEP}'),
    param=re.compile(rf'{_OPEN} key="(?P<key>[^"<>]*)"(?: type="(?P<string>\w+)")?[^<>]*{_SEP}'),
    close=re.compile(rf"{_CLOSE}(?=\s*(?:{_OPEN}|{_CLOSE}|{_END}))"),
    closes=("<|close|>argument<|sep|>",),
    end=re.compile(_END),
    raw_end=("<|close|>call<|sep|>",),
)


class KimiK3Parser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<|open|>think<|sep|>",)
    ENDS = ("<|close|>think<|sep|>",)
    OPENS = ("<|open|>call tool=",)
    SECTION = (("<|open|>tools<|sep|>",), ("<|close|>tools<|sep|>",))
    DROPS = (
        "<|open|>response<|sep|>",
        "<|close|>response<|sep|>",
        "<|close|>message<|sep|>",
        "<|end_of_msg|>",
    )

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = KimiK3Parser
CLAIMS = claim("<|open|>", "<|close|>", "<|sep|>")

"""Functionary 3.2: `>>>f⏎{…}` for a call, `>>>all⏎` before text; the prompt ends in `>>>`.

Source: the chat template of https://huggingface.co/meetkai/functionary-medium-v3.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import Markers, claim
from palaver.formats.parsers._call import NamedCall
from palaver.formats.parsers._code_call import CodeCall
from palaver.formats.parsers._dialect import DialectParser, Reader

_OPEN = ">>>"
_ALL = "all\n"
_CODE = re.compile(r"python\n(?!\s*\{)")
_ENDS = Markers("\n" + _OPEN, "<|eot_id|>", "<|eom_id|>")
_SEP = re.compile("\n")


class FunctionaryV32Parser(DialectParser):
    """Parts text and calls."""

    OPENS = (_OPEN,)
    DROPS = ("<|eot_id|>", "<|eom_id|>")
    LIKELY = re.compile(r"all\n|python\n\s*\S|[A-Za-z_][\w.-]*\n\s*\{")
    UNLIKELY = re.compile(r"[^A-Za-z_]|[\w.-]+[^\w.\n-]|(?!all\n|python\n)[\w.-]+\n\s*[^{\s]")

    def __init__(self, *, opened: bool = False, tools: Sequence[ToolSpec] = ()) -> None:
        """`opened` says nothing: a reply may begin with a name, or with `>>>` before it."""
        super().__init__(tools=tools)
        self._step = self._tagged

    def _reads(self) -> None:
        if self._call is None and self._text.startswith(_ALL, self._at):
            self._at += len(_ALL)
            self._tag = ""
            self._step = self._body
        else:
            super()._reads()

    def _reader(self, marker: str) -> Reader:
        code = _CODE.match(self._text, self._at)
        if code:
            self._at = code.end()
            return CodeCall(self._next(), self._emit, _ENDS)
        return NamedCall(self._next(), self._emit, sep=_SEP, end="")


PARSER = FunctionaryV32Parser
CLAIMS = claim("'>>>'")

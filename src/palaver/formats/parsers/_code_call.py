"""Reads a call of the tool `python` that is written as bare code, up to a marker or the end."""

from __future__ import annotations

from palaver.formats.parsers._base import Markers
from palaver.formats.parsers._call import CallReader, Emit
from palaver.formats.parsers._typed import escaped

PYTHON = "python"


class CodeCall(CallReader):
    """Code becomes the argument `code`, as it comes."""

    def __init__(self, index: int, emit: Emit, ends: Markers) -> None:
        """`ends` are markers that end the code; the one that does is not taken."""
        super().__init__(index, emit)
        self._ends = ends
        self._write.name(PYTHON)
        self._write.argue('{"code": "')
        self._step = self._code

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply, which ends the code as well."""
        self._write.argue(escaped(rest) + '"}')
        self._write.close()

    def _code(self, text: str, at: int, last: bool) -> int:
        end, behind = self._ends.cut(text, at)
        self._write.argue(escaped(text[at:end]))
        if behind > end:
            self.cut_off("")
            self.done = True
        return end

"""The parser that dialects share whose calls are JSON objects, one or a list, behind a marker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from palaver.core.messages import ToolCall
from palaver.formats._dicts import Change, call_text
from palaver.formats.parsers._call_list import CallList
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._json_call import JsonCall


class JsonListParser(DialectParser):
    """Parts reasoning, text and calls.

    `END` is the marker that closes the calls, if there is one; `NAME` the key of a tool's name;
    `KEYED`: the name is itself the key of the arguments.
    """

    END: ClassVar[str] = ""
    NAME: ClassVar[str] = "name"
    KEYED: ClassVar[bool] = False

    @classmethod
    def write(cls, calls: Sequence[ToolCall], change: Change) -> str:
        """Write calls, for a template that does not."""
        return f"{cls.OPENS[0]}[{', '.join(call_text(c, change) for c in calls)}]{cls.END}"

    def _reader(self, marker: str) -> Reader:
        return CallList(self._one, end=self.END)

    def _one(self, first: str) -> Reader:
        return JsonCall(self._next(), self.END, self._emit, name=self.NAME, keyed=self.KEYED)

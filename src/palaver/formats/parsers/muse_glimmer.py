"""Muse Glimmer: messages with a recipient, ` to=self<|message|>…<|eom|>`, and calls as tags.

Source: the chat template of Muse Glimmer ("ATEM"). What is addressed to `self` is reasoning,
to anybody else text; a call stands in the message to its tool:
`<atem:invoke name="f"><atem:parameter name="k">v</atem:parameter></atem:invoke>`.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim, starts
from palaver.formats.parsers._dialect import DialectParser, Reader
from palaver.formats.parsers._shapes import invoke_shape
from palaver.formats.parsers._xml_call import XmlCall

_SHAPE = invoke_shape("atem:")
_START = "<|start|>"
_MESSAGE = "<|message|>"
_FAR = 256
_HEADER = re.compile(r"\s*(?:assistant)?\s*(?:to=(?P<to>[A-Za-z0-9_.*-]*))?\s*")
_BEGUN = re.compile(r"\s*(?:a[sitan]*)?\s*(?:t|to|to=[^\s<>]*)?\s*(?:<[|mesag]*)?")


class MuseGlimmerParser(DialectParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("to=self<|message|>",)
    ENDS = ("<|eom|>", "<|eot|>")
    OPENS = ("<atem:invoke name=",)
    SECTION = (("<atem:function_calls>",), ("</atem:function_calls>",))
    DROPS = (_START, "<|eom|>", "<|eot|>")

    def _start(self) -> None:
        """Behind `<|start|>assistant`, in which the prompt ends, or before it."""
        here = starts(self._text, self._at, _START)
        if here is not None:
            self._at += len(_START) if here else 0
            self._step = self._header

    def _marked(self, marker: str) -> None:
        super()._marked(marker)
        if marker == _START:
            self._step = self._header

    def _header(self) -> None:
        """Whom the message is for; what is no header is text."""
        end = self._text.find(_MESSAGE, self._at, self._at + _FAR)
        found = _HEADER.fullmatch(self._text, self._at, end) if end >= 0 else None
        if found:
            self._at = end + len(_MESSAGE)
            self._step = self._opened if found["to"] == "self" else self._body
        elif len(self._text) - self._at >= _FAR or not _BEGUN.fullmatch(self._text, self._at):
            self._step = self._body

    def _reader(self, marker: str) -> Reader:
        return XmlCall(self._next(), self._emit, _SHAPE, self._tools)


PARSER = MuseGlimmerParser
CLAIMS = claim("<atem:invoke")

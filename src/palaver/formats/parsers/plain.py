"""A reply that is text and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.core.events import ParserEvent, TextDelta
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import claim


class PlainParser:
    """Hands all text on as it comes."""

    def __init__(self, *, opened: bool = False, tools: Sequence[ToolSpec] = ()) -> None:
        """Nothing is used: this format knows no thinking block and no tools."""

    @classmethod
    def opened_by(cls, prompt: str) -> bool:
        """Say no: this format knows no thinking block."""
        return False

    def feed(self, text: str) -> list[ParserEvent]:
        """Return `text` as an event."""
        return [TextDelta(text)] if text else []

    def finish(self) -> list[ParserEvent]:
        """Return nothing: no text is ever held back."""
        return []


PARSER = PlainParser
CLAIMS = claim("\0")  # taken where no other dialect claims a template

"""A reply that is text and nothing else."""

from __future__ import annotations

from palaver.core.events import ParserEvent, TextDelta


class PlainParser:
    """Hands all text on as it comes."""

    def __init__(self, *, opened: bool = False) -> None:
        """`opened` is ignored: this format knows no thinking block."""

    def feed(self, text: str) -> list[ParserEvent]:
        """Return `text` as an event."""
        return [TextDelta(text)] if text else []

    def finish(self) -> list[ParserEvent]:
        """Return nothing: no text is ever held back."""
        return []


PARSER = PlainParser

"""Protocols between a prompt format and what uses it. Rendering and parsing are pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from palaver.core.events import ParserEvent
from palaver.core.messages import Message
from palaver.core.tool import ToolSpec


class Rendered(Struct, frozen=True):
    """A prompt as text.

    `literal` holds the ranges [start, end) of `text`, in characters, ascending and disjoint,
    that spell a control token but came from a user, a tool or a file: they must be tokenised
    as plain text. Everything outside them may become control tokens.
    """

    text: str
    literal: tuple[tuple[int, int], ...] = ()


class CallGrammar(Struct, frozen=True):
    """What calls have to look like, as GBNF, from the control token `trigger` on, which begins one.

    It leaves all that is no call alone.
    """

    text: str
    trigger: str


class Parser(Protocol):
    """Turns a reply's text, cut anywhere, into events. Never raises on what a model wrote.

    Every character fed is in exactly one event or in a marker of the format.
    """

    def feed(self, text: str) -> list[ParserEvent]:
        """Take more text; return what is certain now."""

    def finish(self) -> list[ParserEvent]:
        """Say that the text is over; return the rest (a cut-off call is kept, with an error)."""


class Format(Protocol):
    """How one model's conversations are written."""

    name: str
    source: str  # where the template comes from, for the header: "the model's own", ...
    ends: frozenset[str]  # tokens that end a message within a reply, if replies have several
    effort: str | None  # how long the model is to think, where that can be said; may be changed
    header: str  # what a reply begins with that is said to the user, before its first word

    @property
    def replies(self) -> str:
        """The dialect that replies are read in, and why."""

    @property
    def tools(self) -> bool:
        """Whether the model knows tools: else they are described to it in words."""

    def render(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, reply: bool
    ) -> Rendered:
        """Write messages as prompt text; `reply` ends it where an assistant's answer starts.

        Raises UserError where the template refuses the messages.
        """

    def spans(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> list[tuple[int, int]]:
        """Return the range of the rendered text (reply=False) that each message takes."""

    def pieces(self, rendered: Rendered) -> list[tuple[str, bool]]:
        """Cut a prompt into (text, special) for `Tokenizer.encode`; literal ranges stay text."""

    def grammar(self, tools: Sequence[ToolSpec]) -> CallGrammar | None:
        """Return what calls of these tools have to look like; None where that can't be said."""

    def parser(self, prompt: str, tools: Sequence[ToolSpec] = ()) -> Parser:
        """Make a parser for a reply to `prompt` (whose end may have opened a thinking block).

        `tools` are those the prompt tells of: their schemas type what a dialect writes bare.
        """

"""Events of a reply joined into a message, and replies compared by what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from palaver.core.events import CallParsed, ParserEvent, ReasoningDelta, TextDelta
from palaver.core.format import Format
from palaver.core.messages import Message, Part, Reasoning, Stop, Text, ToolCall
from palaver.core.tool import ToolSpec


class ReplyParts:
    """Joins a reply's events; deltas of one kind that follow each other become one part.

    One that is `new`, or has another `error` than the one before, begins a part.
    """

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._open: list[str] = []
        self._kind: type[Text] | type[Reasoning] | None = None
        self._error: str | None = None

    def add(self, events: Iterable[ParserEvent]) -> None:
        """Take the next events in order."""
        for event in events:
            if isinstance(event, TextDelta):
                self._more(Text, event)
            elif isinstance(event, ReasoningDelta):
                self._more(Reasoning, event)
            elif isinstance(event, CallParsed):
                self._close()
                self._parts.append(event.call)

    def message(self, stop: Stop) -> Message:
        """Return the assistant's message so far."""
        self._close()
        return Message("assistant", tuple(self._parts), stop)

    def _more(self, kind: type[Text] | type[Reasoning], event: TextDelta | ReasoningDelta) -> None:
        if kind is not self._kind or event.new or event.error != self._error:
            self._close()
            self._kind, self._error = kind, event.error
        self._open.append(event.text)

    def _close(self) -> None:
        if self._kind and (text := "".join(self._open)):
            self._parts.append(self._kind(text, self._error))
        self._open, self._kind = [], None


def same_reply(
    fmt: Format, prompt: str, one: str, other: str, tools: Sequence[ToolSpec] = ()
) -> bool:
    """Say whether two raw replies to `prompt` say the same.

    Templates trim texts and write the JSON of calls again; neither changes what was said.
    """
    return _said(fmt, prompt, one, tools) == _said(fmt, prompt, other, tools)


def _said(fmt: Format, prompt: str, raw: str, tools: Sequence[ToolSpec]) -> list[object]:
    parser = fmt.parser(prompt, tools)
    parts = ReplyParts()
    parts.add(parser.feed(raw))
    parts.add(parser.finish())
    said: list[object] = []
    for part in parts.message("end").parts:
        if isinstance(part, ToolCall):
            said.append((part.name, _arguments(part.arguments)))
        elif isinstance(part, Text | Reasoning) and part.text.strip():
            said.append((type(part), part.text.strip()))
    return said


def _arguments(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text

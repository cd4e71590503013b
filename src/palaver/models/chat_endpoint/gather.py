"""A reply put together from what an endpoint sends: texts in order, calls by their number."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from palaver.core.errors import EngineError
from palaver.core.events import CallDelta, CallParsed, ParserEvent, ReasoningDelta, TextDelta
from palaver.core.messages import ARGUMENTS, Message, Stop, ToolCall
from palaver.models.chat_endpoint.chunks import CallPiece, Choice, Chunk, Delta, Usage, text_of
from palaver.models.reply import ReplyParts

_STOPS: dict[str, Stop] = {"length": "length", "max_tokens": "length", "error": "error",
                           "content_filter": "error"}  # fmt: skip
CUT = "cut off"


@dataclass
class _Call:
    """A call as far as it has come."""

    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add_name(self, name: str) -> str:
        """Take a piece of the name; return what is new. Some servers repeat it in every piece."""
        if not name or name == self.name:
            return ""
        self.name += name
        return name


class Reply:
    """One reply while it comes. `said` is whether anything of it was seen by anybody."""

    def __init__(self, names: dict[str, str]) -> None:
        """`names` leads from the tools' names as they were sent to their own."""
        self.said = False
        self.over = False  # the server said how it ended
        self.size = 0  # bytes of what came, for an estimate of its tokens
        self.usage: Usage | None = None
        self.reasoning_field: str | None = None
        self._names = names
        self._stop: Stop = "end"
        self._why = ""
        self._calls: dict[int, _Call] = {}  # by the number that its events have
        self._numbers: dict[int, int] = {}  # from the server's number to that
        self._parts = ReplyParts()

    def begin_with(self, events: list[ParserEvent]) -> None:
        """Take what was said before, when a reply is gone on with."""
        self._parts.add(events)

    def take(self, chunk: Chunk) -> list[ParserEvent]:
        """Take a chunk; return what is new in it. Raises EngineError for an error in its place."""
        if chunk.error:
            raise EngineError(f"the endpoint broke off the answer: {_words(chunk.error)}")
        if chunk.usage and chunk.usage.prompt_tokens is not None:
            self.usage = chunk.usage
        events: list[ParserEvent] = []
        for choice in (chunk.choices or ())[:1]:
            events += self._choice(choice)
        self._parts.add(events)
        self.said = self.said or bool(events)
        return events

    def _choice(self, choice: Choice) -> list[ParserEvent]:
        events = self._delta(choice.delta or choice.message or Delta())
        if choice.finish_reason:
            self.over = True
            self._stop = _STOPS.get(choice.finish_reason, "end")
            self._why = choice.finish_reason
        return events

    def _delta(self, delta: Delta) -> list[ParserEvent]:
        events: list[ParserEvent] = []
        for name in ("reasoning_content", "reasoning"):
            if thought := getattr(delta, name):
                self.reasoning_field = name
                events.append(ReasoningDelta(thought))
                break  # a server that sends both sends one text twice
        if text := text_of(delta.content) or delta.refusal:
            events.append(TextDelta(text))
        for piece in delta.tool_calls or ():
            events += self._piece(piece)
        self.size += sum(
            len((e.arguments if isinstance(e, CallDelta) else e.text).encode("utf-8", "replace"))
            for e in events
            if not isinstance(e, CallParsed)
        )
        return events

    def _piece(self, piece: CallPiece) -> list[ParserEvent]:
        number = self._number(piece)
        call = self._calls.setdefault(number, _Call(piece.id or ""))
        call.id = call.id or piece.id or ""
        function = piece.function
        if function is None:
            return []
        name = call.add_name(function.name or "")
        given = function.arguments
        text = given if isinstance(given, str) else "" if given is None else _json(given)
        call.arguments.append(text)
        return [CallDelta(number, self._own(call.name) if name else None, text)]

    def _number(self, piece: CallPiece) -> int:
        """Say which call a piece is of: that with its number, else with its id, else the newest.

        Without a number, another id or another name than the newest call's begins a call.
        """
        if piece.index is not None:
            return self._numbers.setdefault(piece.index, len(self._calls))
        for number, call in self._calls.items():
            if piece.id and call.id == piece.id:
                return number
        newest = len(self._calls) - 1
        named = bool(piece.function and piece.function.name)
        return newest + 1 if newest < 0 or piece.id or named else newest

    def finish(self, *, whole: bool) -> list[ParserEvent]:
        """Say that nothing more comes; return the calls. Those of a cut-off reply say so."""
        ids: set[str] = set()
        events: list[ParserEvent] = []
        for number, call in sorted(self._calls.items()):
            made = call.id if call.id and call.id not in ids else f"call_{number + 1}"
            while made in ids:
                made += "_"
            ids.add(made)
            text = "".join(call.arguments) or "{}"
            error = _fault(call.name, text) or (None if whole else CUT)
            events.append(CallParsed(number, ToolCall(made, self._own(call.name), text, error)))
        self._parts.add(events)
        return events

    @property
    def filtered(self) -> str:
        """Why the endpoint itself ended a reply that is not whole, "" where it did not."""
        return self._why if self._stop == "error" else ""

    @property
    def stop(self) -> Stop:
        """How the reply ended, as the endpoint says."""
        return self._stop

    def message(self, stop: Stop) -> Message:
        """Return the reply so far."""
        return self._parts.message(stop)

    def _own(self, name: str) -> str:
        return self._names.get(name, name)


def _fault(name: str, arguments: str) -> str | None:
    """Say why a call can't be run as it stands, None if it can."""
    if not name:
        return "it names no tool"
    try:
        value = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return f"{ARGUMENTS} no JSON"
    return None if isinstance(value, dict) else f"{ARGUMENTS} no object"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _words(error: Any) -> str:
    found = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(found or error).split())[:600]

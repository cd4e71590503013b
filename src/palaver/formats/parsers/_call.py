"""What readers of calls share: writing a call's events, and calls with the name first."""

from __future__ import annotations

import re
from collections.abc import Callable

from palaver.core.events import CallDelta, CallParsed, ParserEvent
from palaver.core.messages import ToolCall
from palaver.formats.parsers._base import BLANK, Markers, match_end
from palaver.formats.parsers._json_call import CUT_OFF, JsonValue, problem, stays_inside

Emit = Callable[[ParserEvent], object]
LONGEST_NAME = 512


class CallWriter:
    """Writes the events of one call."""

    def __init__(self, index: int, emit: Emit) -> None:
        self.named = False
        self._index = index
        self._emit = emit
        self._id = f"call_{index + 1}"
        self._name = ""
        self._arguments: list[str] = []

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return "".join(self._arguments)

    def name(self, name: str, call_id: str = "") -> None:
        """Begin the call."""
        self.named = True
        self._name = name
        self._id = call_id or self._id
        self._emit(CallDelta(self._index, name, self.arguments))

    def argue(self, text: str) -> None:
        """Write more of the arguments; they are kept back until the call has its name."""
        if text:
            self._arguments.append(text)
            if self.named:
                self._emit(CallDelta(self._index, None, text))

    def flow(self, text: str) -> CallDelta:
        """Take more of the arguments of a call that has its name; return them as an event."""
        self._arguments.append(text)
        return CallDelta(self._index, None, text)

    def close(self, error: str | None = None, raw: str = "") -> None:
        """End the call; `raw` is what came, for one without a name."""
        if not self.named:
            self._emit(CallDelta(self._index, "", raw))
            call = ToolCall(self._id, "", raw, error or "the call has no name")
        else:
            if not self._arguments and error is None:
                self.argue("{}")
            arguments = self.arguments
            call = ToolCall(self._id, self._name, arguments, error or problem(arguments))
        self._emit(CallParsed(self._index, call))


class CallReader:
    """A call as a chain of steps, like `StepParser`, over text that the parser holds."""

    def __init__(self, index: int, emit: Emit) -> None:
        """`index` is the call's number in its reply, `emit` takes its events."""
        self.done = False
        self._write = CallWriter(index, emit)
        self._step: Callable[[str, int, bool], int]

    def flow(self, text: str) -> CallDelta | None:
        """Take a piece that is arguments and nothing else."""
        return None

    def read(self, text: str, at: int, *, last: bool = False) -> int:
        """Take text from `at` on, after which none comes if `last`; return up to where."""
        while at < len(text) and not self.done:
            step, before = self._step, at
            at = step(text, at, last)
            if at == before and self._step == step:
                break
        return at


class NamedCall(CallReader):
    """A name, a separator, an object of JSON and an end: `name<sep>{…}<end>`.

    `name` makes (name, id) of what stands before the object; `sep` matches what separates the
    two (a look-ahead for none), `skip` what may stand around the object. Without a separator
    the call has no arguments. Broken JSON is kept up to `end`. Where `name` says None, `guess`
    makes a name of the id and the arguments, once these are whole; where it makes an empty one,
    the call has no name.
    """

    def __init__(
        self,
        index: int,
        emit: Emit,
        *,
        sep: re.Pattern[str],
        end: str,
        name: Callable[[str], tuple[str | None, str]] = lambda raw: (raw.strip(), ""),
        guess: Callable[[str, str], str] = lambda call_id, arguments: "",
        skip: re.Pattern[str] = BLANK,
        longest: int = 64,
    ) -> None:
        """`longest` is the longest text that `sep` or `skip` matches, in characters."""
        super().__init__(index, emit)
        self._sep = sep
        self._end = end
        self._ends = Markers(end or "\0\0")
        self._name = name
        self._guess = guess
        self._skip = skip
        self._longest = longest
        self._head = ""  # what came before the arguments of a call that has no name yet
        self._id = ""
        self._value: JsonValue | None = None
        self._step = self._naming

    def flow(self, text: str) -> CallDelta | None:
        """Take a piece from the middle of a string."""
        value = self._value
        if value is None or not (value.inside and self._write.named and stays_inside(text)):
            return None
        return self._write.flow(text)

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""
        if self._step == self._after:  # of the end no more than its beginning came
            self._close()
        elif self._write.named or self._head or self._write.arguments or rest.strip():
            self._write.argue(rest)
            self._close(CUT_OFF)

    def _close(self, error: str | None = None) -> None:
        if not self._write.named:
            name = self._guess(self._id, self._write.arguments) if self._head else ""
            if name:
                self._write.name(name, self._id)
        self._write.close(error, self._head + self._write.arguments)

    def _naming(self, text: str, at: int, last: bool) -> int:
        near = text[at : at + LONGEST_NAME]
        found = self._sep.search(near)
        end = near.find(self._end) if self._end else -1
        if found and (end < 0 or found.start() <= end):
            name, self._id = self._name(near[: found.start()])
            if name is None:
                self._head = near[: found.end()]
            else:
                self._write.name(name, self._id)
            self._step = self._before
            return at + found.end()
        if end >= 0:
            name, call_id = self._name(near[:end])
            if name:
                self._write.name(name, call_id)
            self._write.close(raw=near[:end])
            self.done = True
            return at + end + len(self._end)
        if len(near) == LONGEST_NAME:
            self._step = self._broken
        return at

    def _before(self, text: str, at: int, last: bool) -> int:
        here = match_end(self._skip, text, at, at + self._longest)
        first = text[here : here + 1]
        if first == "{":
            self._value = JsonValue(first)
            self._step = self._arguing
            return here
        if self._end and text.startswith(self._end, here):
            self._step = self._after
            return here
        if len(text) - at >= self._longest or last:
            self._step = self._broken
            return at
        return at

    def _arguing(self, text: str, at: int, last: bool) -> int:
        assert self._value is not None
        end = self._value.read(text, at)
        self._write.argue(text[at:end])
        if self._value.done:
            self._step = self._broken if self._value.bad else self._after
            if not self._end and not self._value.bad:
                self._close()
                self.done = True
        return end

    def _broken(self, text: str, at: int, last: bool) -> int:
        end, behind = self._ends.cut(text, at)
        self._write.argue(text[at:end])
        if behind > end:
            self._close()
            self.done = True
        return behind

    def _after(self, text: str, at: int, last: bool) -> int:
        """Behind the object: what may stand there, and the end if it is there."""
        here = match_end(self._skip, text, at, at + self._longest)
        if text.startswith(self._end, here):
            here = here + len(self._end) if self._end else at
        elif len(text) - at < self._longest and not last:
            return at
        else:
            here = at
        self._close()
        self.done = True
        return here

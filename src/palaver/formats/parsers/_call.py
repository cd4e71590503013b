"""What readers of calls share: writing a call's events, and calls with the name first."""

from __future__ import annotations

import re
from collections.abc import Callable

from palaver.core.events import CallDelta, CallParsed, ParserEvent
from palaver.core.messages import ToolCall
from palaver.formats.parsers._base import Markers
from palaver.formats.parsers._json_call import CUT_OFF, JsonValue, problem

Emit = Callable[[ParserEvent], object]
_BLANK = re.compile(r"\s*")
_LONGEST_NAME = 512


class CallWriter:
    """Writes the events of one call."""

    def __init__(self, index: int, emit: Emit) -> None:
        self.named = False
        self._index = index
        self._emit = emit
        self._id = f"call_{index + 1}"
        self._name = ""
        self._arguments: list[str] = []

    def name(self, name: str, call_id: str = "") -> None:
        """Begin the call."""
        self.named = True
        self._name = name
        self._id = call_id or self._id
        self._emit(CallDelta(self._index, name, ""))

    def argue(self, text: str) -> None:
        """Write more of the arguments."""
        if text:
            self._arguments.append(text)
            self._emit(CallDelta(self._index, None, text))

    def close(self, error: str | None = None, raw: str = "") -> None:
        """End the call; `raw` is what came, for one without a name."""
        if not self.named:
            self._emit(CallDelta(self._index, "", raw))
            call = ToolCall(self._id, "", raw, error or "the call has no name")
        else:
            if not self._arguments and error is None:
                self.argue("{}")
            arguments = "".join(self._arguments)
            call = ToolCall(self._id, self._name, arguments, error or problem(arguments))
        self._emit(CallParsed(self._index, call))


class CallReader:
    """A call as a chain of steps, like `StepParser`, over text that the parser holds."""

    def __init__(self, index: int, emit: Emit) -> None:
        """`index` is the call's number in its reply, `emit` takes its events."""
        self.done = False
        self._write = CallWriter(index, emit)
        self._step: Callable[[str, int, bool], int]

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
    the call has no arguments. Broken JSON is kept up to `end`.
    """

    def __init__(
        self,
        index: int,
        emit: Emit,
        *,
        sep: re.Pattern[str],
        end: str,
        name: Callable[[str], tuple[str, str]] = lambda raw: (raw.strip(), ""),
        skip: re.Pattern[str] = _BLANK,
        longest: int = 64,
    ) -> None:
        """`longest` is the longest text that `sep` or `skip` matches, in characters."""
        super().__init__(index, emit)
        self._sep = sep
        self._end = end
        self._ends = Markers(end or "\0\0")
        self._name = name
        self._skip = skip
        self._longest = longest
        self._raw: list[str] = []
        self._value: JsonValue | None = None
        self._step = self._naming

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""
        if self._step == self._after:  # of the end no more than its beginning came
            self._write.close()
        elif self._write.named:
            self._write.argue(rest)
            self._write.close(CUT_OFF)
        elif self._raw or rest.strip():
            self._write.close(CUT_OFF, "".join(self._raw) + rest)

    def _naming(self, text: str, at: int, last: bool) -> int:
        near = text[at : at + _LONGEST_NAME]
        found = self._sep.search(near)
        end = near.find(self._end) if self._end else -1
        if found and (end < 0 or found.start() <= end):
            self._write.name(*self._name(near[: found.start()]))
            self._step = self._before
            return at + found.end()
        if end >= 0:
            name, call_id = self._name(near[:end])
            if name:
                self._write.name(name, call_id)
            self._write.close(raw=near[:end])
            self.done = True
            return at + end + len(self._end)
        if len(near) == _LONGEST_NAME:
            self._step = self._broken
        return at

    def _before(self, text: str, at: int, last: bool) -> int:
        found = self._skip.match(text, at, at + self._longest)
        here = found.end() if found else at
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
                self._write.close()
                self.done = True
        return end

    def _broken(self, text: str, at: int, last: bool) -> int:
        end, behind = self._ends.cut(text, at)
        if self._write.named:
            self._write.argue(text[at:end])
        else:
            self._raw.append(text[at:end])
        if behind > end:
            self._write.close(raw="".join(self._raw))
            self.done = True
        return behind

    def _after(self, text: str, at: int, last: bool) -> int:
        """Behind the object: what may stand there, and the end if it is there."""
        found = self._skip.match(text, at, at + self._longest)
        here = found.end() if found else at
        if text.startswith(self._end, here):
            here = here + len(self._end) if self._end else at
        elif len(text) - at < self._longest and not last:
            return at
        else:
            here = at
        self._write.close()
        self.done = True
        return here

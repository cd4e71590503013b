"""Reads one call that is written as a JSON object, while it comes and in linear time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from palaver.core.events import CallDelta, CallParsed, ParserEvent, ReasoningDelta
from palaver.core.messages import ARGUMENTS, ToolCall
from palaver.formats.parsers._base import blank_end, match_end

_IN_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_IN_NEST = re.compile(r'["{}\[\]<]')
_IN_SCALAR = re.compile(r'[\s,}\]<"]')
_GAP = re.compile(r"[\s,]*")
_ARGUMENTS = ("arguments", "parameters")
_NOTHING_SAID = re.compile(r'"?(?:function|\d*)"?')  # of a key that is none of the call's
CUT_OFF = "the call was cut off"


def problem(arguments: str) -> str | None:
    """Say why `arguments` can't be taken for a call's, or None."""
    try:
        value = json.loads(arguments, strict=False)
    except ValueError as exc:
        return f"{ARGUMENTS} not JSON: {exc}"
    except RecursionError:
        return f"{ARGUMENTS} nested too deeply"
    return None if isinstance(value, dict) else f"{ARGUMENTS} no JSON object"


def stays_inside(text: str) -> bool:
    """Say whether a string of JSON goes on behind `text`, which begins within it."""
    if '"' not in text and "\\" not in text:
        return True
    return match_end(_IN_STRING, text, 0) == len(text)


class JsonValue:
    """Finds the end of one JSON value that comes in pieces; does not check what is in it."""

    def __init__(self, first: str) -> None:
        self.done = False
        self.bad = False
        self._depth = 0
        self.inside = False  # of a string, and not behind a backslash
        self._escaped = False
        self._scalar = first not in '"{['

    def read(self, text: str, at: int) -> int:
        """Return where the value, or this piece of it, ends."""
        size = len(text)
        while at < size and not self.done:
            if self._escaped:
                self._escaped = False
                self.inside = True
                at += 1
                continue
            if self.inside:
                at = self._unquote(text, at)
                continue
            found = (_IN_SCALAR if self._scalar else _IN_NEST).search(text, at)
            if not found:
                return size
            at = found.end() - 1 if self._scalar else self._met(found.group(), found.end())
            self.done = self.done or self._scalar
        return at

    def _unquote(self, text: str, at: int) -> int:
        """Go behind the end of a string, or of what is there of it."""
        end = match_end(_IN_STRING, text, at)
        if end == len(text):
            return end
        self.inside = False
        if text[end] == '"':
            self.done = self._depth == 0
        else:  # a backslash, the last character that came
            self._escaped = True
        return end + 1

    def _met(self, char: str, behind: int) -> int:
        if char == '"':
            self.inside = True
        elif char == "<":  # no JSON has it outside a string: a tag, where a bracket is missing
            self.done = self.bad = True
            return behind - 1
        else:
            self._depth += 1 if char in "{[" else -1
            self.done = self._depth == 0
        return behind


class JsonCall:
    """One call; `end` is the tag that closes it, looked for once the JSON is broken."""

    def __init__(
        self,
        index: int,
        end: str,
        emit: Callable[[ParserEvent], object],
        *,
        name: str = "name",
        keyed: bool = False,
    ) -> None:
        """`emit` takes the events: the name first, then raw arguments, then the call.

        `name` is the key of the tool's name; `keyed`: the name itself is the key of the arguments.
        """
        self._name_key = name
        self._keyed = keyed
        self.done = False
        self._index = index
        self._end = end
        self._emit = emit
        self._id = f"call_{index + 1}"
        self._name: str | None = None
        self._arguments: list[str] = []
        self._raw: list[str] = []
        self._key = ""
        self._value: JsonValue | None = None
        self._kept: list[str] = []  # pieces of a value that is used whole
        self._streamed = False
        self._extra: list[tuple[str, str]] = []  # keys that are none of a call's
        self._step: Callable[[str, int], int] = self._object

    def flow(self, text: str) -> CallDelta | None:
        """Take a piece from the middle of a string, as most pieces of a long call are."""
        value = self._value
        if value is None or not (value.inside and self._streamed and self._name):
            return None
        if not stays_inside(text):
            return None
        self._arguments.append(text)
        return CallDelta(self._index, None, text)

    def read(self, text: str, at: int, *, last: bool = False) -> int:
        """Take text from `at` on; return up to where it was taken."""
        begin = at
        while at < len(text) and not self.done:
            step, before = self._step, at
            at = step(text, at)
            if at == before and self._step == step:
                break
        if self._name is None:
            self._raw.append(text[begin:at])
        if self.done:
            self._close(None)
        return at

    def cut_off(self, rest: str) -> None:
        """Close the call at the end of the reply; `rest` is what was not taken."""
        self._raw.append(rest)
        if self._step == self._broken and self._name is not None:
            self._argue(rest)
        elif self._step == self._in_key:
            key = "".join(self._kept)[1:]
            if not any(one.startswith(key) for one in (*_ARGUMENTS, self._name_key)):
                self._extra.append((key, ""))
        elif self._value is not None and not self._streamed:
            self._settle("".join(self._kept), whole=False)
        self._close(CUT_OFF)

    def _object(self, text: str, at: int) -> int:
        if text[at] != "{":
            self._step = self._broken
            return at
        self._step = self._before_key
        return at + 1

    def _before_key(self, text: str, at: int) -> int:
        at = match_end(_GAP, text, at)
        if text[at : at + 1] == "}":
            self.done = True
            return at + 1
        return self._begin(text, at, self._in_key, '"')

    def _in_key(self, text: str, at: int) -> int:
        end = self._keep(text, at)
        if self._value is None:
            self._key = _string("".join(self._kept))
            self._step = self._colon
        return end

    def _colon(self, text: str, at: int) -> int:
        at = blank_end(text, at)
        if at < len(text):
            self._step = self._before_value
            if text[at] == ":":
                return at + 1
            self._breaks()
        return at

    def _before_value(self, text: str, at: int) -> int:
        at = blank_end(text, at)
        at = self._begin(text, at, self._in_value, None)
        if self._value is not None and self._keyed and self._name is None:
            self._name, self._key = self._key, "arguments"
            self._emit(CallDelta(self._index, self._name, ""))
        self._streamed = self._key in _ARGUMENTS and text[at : at + 1] == "{"
        return at

    def _in_value(self, text: str, at: int) -> int:
        if self._streamed:
            assert self._value is not None
            end = self._value.read(text, at)
            self._argue(text[at:end])
            self._ended()
        else:
            end = self._keep(text, at)
        if self._value is None:
            if not self._streamed:
                self._settle("".join(self._kept), whole=self._step != self._broken)
            self._streamed = False
        return end

    def _broken(self, text: str, at: int) -> int:
        """Not JSON any more: everything up to the closing tag is kept as it is."""
        end = text.find(self._end, at) if self._end else -1
        self.done = end >= 0
        if not self.done:
            end = len(text)
            for start in range(max(at, end - len(self._end) + 1), end):
                if self._end.startswith(text[start:]):
                    end = start
                    break
        if self._name is not None:
            self._argue(text[at:end])
        return end

    def _begin(self, text: str, at: int, step: Callable[[str, int], int], only: str | None) -> int:
        """Begin to read a value at `at`, which must be the character `only`, if given."""
        if at < len(text):
            if text[at] in ("<}],:" if only is None else "<") or text[at] != (only or text[at]):
                self._breaks()
            else:
                self._value = JsonValue(text[at])
                self._kept = []
                self._step = step
        return at

    def _breaks(self) -> None:
        if self._step != self._before_key and self._key not in _ARGUMENTS:
            self._extra.append((self._key, ""))
        self._step = self._broken

    def _keep(self, text: str, at: int) -> int:
        assert self._value is not None
        end = self._value.read(text, at)
        self._kept.append(text[at:end])
        self._ended()
        return end

    def _ended(self) -> None:
        assert self._value is not None
        if self._value.done:
            self._step = self._broken if self._value.bad else self._before_key
            self._value = None

    def _settle(self, value: str, *, whole: bool) -> None:
        """Use a value that was read whole (or, at the end of a reply, as far as it came)."""
        if self._key in _ARGUMENTS:
            text = _string(value) if value.startswith('"') else value
            self._argue("{}" if text == "null" else text)
        elif self._key == "id" and whole and value.startswith('"'):
            self._id = _string(value) or self._id
        elif self._key == self._name_key and whole and self._name is None and value.startswith('"'):
            self._name = _string(value)
            self._emit(CallDelta(self._index, self._name, "".join(self._arguments)))
        elif not _NOTHING_SAID.fullmatch(value):
            self._extra.append((self._key, value))

    def _argue(self, text: str) -> None:
        if text:
            self._arguments.append(text)
            if self._name is not None:
                self._emit(CallDelta(self._index, None, text))

    def _close(self, error: str | None) -> None:
        if self._name is None and error is None:
            self._unwrap()
        if self._name is None:
            raw = "".join(self._raw)
            self._emit(CallDelta(self._index, "", raw))
            call = ToolCall(self._id, "", raw, error or "the call has no name")
        else:
            if not self._arguments and error is None:
                self._argue("{}")
            arguments = "".join(self._arguments)
            wrong = problem(arguments)
            call = ToolCall(self._id, self._name, arguments, wrong and (error or wrong))
        self._emit(CallParsed(self._index, call))
        if self._name is not None and self._extra:
            self._emit(ReasoningDelta("\n".join(f"{key}: {v}" for key, v in self._extra)))

    def _unwrap(self) -> None:
        """Read the OpenAI way of writing a call: `{"function": {"name": …, "arguments": …}}`."""
        try:
            inner = json.loads("".join(self._raw), strict=False)["function"]
            name, arguments = inner["name"], inner.get("arguments", inner.get("parameters", {}))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return
        if isinstance(name, str):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            self._name = name
            self._arguments = [text]
            self._extra = [pair for pair in self._extra if pair[0] != "function"]
            self._emit(CallDelta(self._index, name, text))


def _string(raw: str) -> str:
    """Return what a JSON string says; a broken one as it stands."""
    try:
        value = json.loads(raw, strict=False)
    except ValueError:
        return raw
    return value if isinstance(value, str) else raw

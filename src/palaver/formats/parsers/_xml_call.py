"""Reads one call whose arguments are tags with bare text: `<parameter=city>Paris</parameter>`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from palaver.core.events import CallDelta
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import BLANK, Markers, match_end, starts
from palaver.formats.parsers._call import CallReader, Emit
from palaver.formats.parsers._json_call import CUT_OFF, problem
from palaver.formats.parsers._typed import ANY, STRING, escaped, kinds, typed

_FAR = 512  # characters in which the tags that are looked for must be complete
_CDATA = "<![CDATA["
_CDATA_END = Markers("]]>")


class Shape(NamedTuple):
    """How a dialect writes such calls.

    `head` matches from behind the opening marker to behind the name (group `name`), `param` a
    parameter's opening (group `key`, and `string`: "true" or "string" where the value is text,
    whatever the schema says), `close` what ends a value (it may look at what follows), `end` the
    call. `closes` are the beginnings of what `close` matches. `trim`: one line end on each side
    of a value is not part of it. `cdata`: a value may stand in `<![CDATA[…]]>`. `gap` matches what
    may stand between tags.
    """

    head: re.Pattern[str]
    param: re.Pattern[str]
    close: re.Pattern[str]
    closes: tuple[str, ...]
    end: re.Pattern[str]
    raw_end: tuple[str, ...]
    trim: bool = False
    cdata: bool = False
    gap: re.Pattern[str] = BLANK


class XmlCall(CallReader):
    """One call; values are typed by the tool's schema, text comes on as it is written."""

    def __init__(self, index: int, emit: Emit, shape: Shape, tools: Mapping[str, ToolSpec]) -> None:
        """`tools` are those the model was told of, by name."""
        super().__init__(index, emit)
        self._shape = shape
        self._ends = Markers(*shape.raw_end)
        self._tools = tools
        self._tool: ToolSpec | None = None
        self._kinds = ANY
        self._count = 0
        self._value: list[str] = []  # pieces of a value that is typed when it is whole
        self._fresh = True  # no character of the value has come
        self._line = ""  # a line end that may be the value's last
        self._flows = False  # within a text, with nothing held back
        self._stray: list[str] = []
        self._step = self._heading

    def flow(self, text: str) -> CallDelta | None:
        """Take a piece from the middle of a text."""
        if not self._flows or "<" in text or text[-1] == "\n":
            return None
        return self._write.flow(escaped(text))

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""
        if self._step in (self._heading, self._raw):
            raw = "".join(self._stray) + rest
            if raw.strip():
                self._write.close(CUT_OFF, raw)
            return
        if self._step in (self._valuing, self._cdata):
            self._add(rest)
            self._finish_value()
        elif rest.strip():
            self._stray.append(rest)
        self._finish(CUT_OFF)

    def _heading(self, text: str, at: int, last: bool) -> int:
        found = self._shape.head.match(text, at, at + _FAR)
        if found:
            name = found["name"].strip()
            self._tool = self._tools.get(name)
            self._write.name(name)
            self._step = self._between
            return found.end()
        end, behind = self._ends.cut(text, at)
        if last or len(text) - at >= _FAR or end < behind:
            self._step = self._raw
        return at

    def _raw(self, text: str, at: int, last: bool) -> int:
        """No call after all: everything up to the end is kept as it is."""
        end, behind = self._ends.cut(text, at)
        self._stray.append(text[at:end])
        if behind > end:
            self.done = True
            self._write.close(raw="".join(self._stray))
        return behind

    def _between(self, text: str, at: int, last: bool) -> int:
        """Between parameters."""
        begin, at = at, match_end(self._shape.gap, text, at)
        if self._stray:
            self._stray.append(text[begin:at])
        found = self._shape.end.match(text, at, at + _FAR)
        if found:
            self._finish(None)
            self.done = True
            return found.end()
        found = self._shape.param.match(text, at, at + _FAR)
        if found:
            self._open(found)
            return found.end()
        rest = len(text) - at
        if not rest or (not last and (text[at:] == "\\" or (text[at] == "<" and rest < _FAR))):
            return at
        stop = text.find("<", at + 1)
        stop = len(text) if stop < 0 else stop
        self._stray.append(text[at:stop])
        return stop

    def _open(self, found: re.Match[str]) -> None:
        groups = found.groupdict()
        key = groups["key"].strip() if self._shape.trim else groups["key"]
        said = groups.get("string")
        self._kinds = kinds(self._tool, key)
        if said is not None:
            self._kinds = STRING if said in ("true", "string") else ANY - STRING
        comma = ", " if self._count else "{"
        self._write.argue(comma + json.dumps(key, ensure_ascii=False) + ": ")
        if self._kinds == STRING:
            self._write.argue('"')
        self._count += 1
        self._value = []
        self._fresh = True
        self._line = ""
        self._step = self._valuing

    def _valuing(self, text: str, at: int, last: bool) -> int:
        if self._shape.cdata and self._fresh:
            here = starts(text, at, _CDATA)
            if here is None and not last:
                return at
            self._fresh = False
            if here:
                self._step = self._cdata
                return at + len(_CDATA)
        from_here = at
        while True:
            mark = text.find("<", from_here)
            if mark < 0:
                self._add(text[at:])
                self._flows = self._kinds == STRING and not (self._fresh or self._line)
                return len(text)
            if any(_begins(text, mark, close) for close in self._shape.closes):
                found = self._shape.close.match(text, mark, mark + _FAR)
                if found is None and last:
                    end = self._last_close(text, mark)
                    if end is not None:
                        self._add(text[at:mark])
                        self._finish_value()
                        self._step = self._between
                        return end
                if found:
                    self._add(text[at:mark])
                    self._finish_value()
                    self._step = self._between
                    return found.end()
                if len(text) - mark < _FAR and not last:
                    self._add(text[at:mark])
                    return mark
            from_here = mark + 1

    def _last_close(self, text: str, mark: int) -> int | None:
        """Say where a value ends whose closing tag, or its call's, is the last that came."""
        rest = text[mark:].rstrip()
        if rest.startswith(self._shape.closes[0]) and rest.find(">") == len(rest) - 1:
            return len(text)
        return mark if rest in self._shape.raw_end else None

    def _cdata(self, text: str, at: int, last: bool) -> int:
        """In a part of a value that no tag is looked for in."""
        end, behind = _CDATA_END.cut(text, at)
        self._add(text[at:end])
        if behind > end:
            self._step = self._valuing
        return behind

    def _add(self, text: str) -> None:
        if self._shape.trim and text:
            if self._fresh:
                text = text.removeprefix("\n")
                self._fresh = False
            text = self._line + text
            self._line = "\n" if text.endswith("\n") else ""
            text = text.removesuffix("\n")
        if not text:
            return
        if self._kinds == STRING:
            self._write.argue(escaped(text))
        else:
            self._value.append(text)

    def _finish_value(self) -> None:
        self._flows = False
        if self._kinds == STRING:
            self._write.argue('"')
        else:
            self._write.argue(typed("".join(self._value), self._kinds))

    def _finish(self, error: str | None) -> None:
        if not self._count and problem("".join(self._stray)) is None:
            self._write.argue("".join(self._stray).strip())  # an object instead of tags
            self._write.close(error)
            return
        self._write.argue("}" if self._count else "{}")
        stray = " ".join("".join(self._stray).split())
        if stray and error is None:
            error = f"there is text between the call's arguments: {stray}"
        elif stray:
            error = f"{error}: {stray}"
        self._write.close(error)


def _begins(text: str, at: int, marker: str) -> bool:
    """Say whether `marker`, or as much of it as `text` has room for, stands at `at`."""
    return marker.startswith(text[at : at + len(marker)])

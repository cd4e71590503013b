"""The parser that all dialects with tool calls share: text, markers, and readers of calls."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol

from palaver.core.events import CallDelta, CallParsed, ParserEvent, TextDelta
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import Markers, blank_end, starts, whole
from palaver.formats.parsers.think import ThinkParser

NEAR = 256  # characters in which a tag that nothing like a call follows must close to be one


class Reader(Protocol):
    """Reads one call, or several, while they come."""

    done: bool

    def flow(self, text: str) -> CallDelta | None:
        """Take a piece that is arguments and nothing else, or nothing: what `read` would do."""

    def read(self, text: str, at: int, *, last: bool = False) -> int:
        """Take text from `at` on, after which none comes if `last`; return up to where."""

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""


class DialectParser(ThinkParser):
    """Parts reasoning, text and calls by what a class names.

    `OPENS` are the markers that begin calls; `DROPS` say nothing by themselves; between the two
    of `SECTION` white space is nobody's. `TIGHT`: so is white space beside a marker.
    `ANYWHERE`: thinking blocks may come later too. `LIKELY`: what follows a marker of `OPENS`
    that is one (a group `name` in it must be a tool's, if the model was told of any); where
    something else does, the marker must be closed by `CLOSE` nearby, else it is text (a model
    that talks about its tags), at once where `UNLIKELY` matches. At the end of a reply it is a
    call that was cut off if all that came matches `MAYBE`. `BARE` are markers that are
    characters like others, and begin a call at the beginning of the text alone.
    """

    OPENS: ClassVar[tuple[str, ...]] = ()
    DROPS: ClassVar[tuple[str, ...]] = ()
    SECTION: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = ((), ())
    TIGHT: ClassVar[bool] = False
    ANYWHERE: ClassVar[bool] = False
    LIKELY: ClassVar[re.Pattern[str] | None] = None
    MAYBE: ClassVar[re.Pattern[str] | None] = None
    UNLIKELY: ClassVar[re.Pattern[str] | None] = None
    CLOSE: ClassVar[str] = ""
    BARE: ClassVar[tuple[str, ...]] = ()
    _marks: ClassVar[Markers]

    @classmethod
    def _prepare(cls) -> None:
        super()._prepare()
        thoughts = cls.BEGINS if cls.ANYWHERE else ()
        marks = (*cls.OPENS, *cls.DROPS, *cls.SECTION[0], *cls.SECTION[1], *thoughts)
        cls._marks = Markers(*marks) if marks else Markers("\0\0")

    def __init__(self, *, opened: bool = False, tools: Sequence[ToolSpec] = ()) -> None:
        """`opened`: the prompt has begun the block already; `tools`: what the model was told."""
        super().__init__(opened=opened, tools=tools)
        self._calls = 0
        self._inner = False  # within a section
        self._thoughts: list[str] = []
        self._prose = False  # within text, with nothing held back
        self._spoke = False  # text that is no white space has come
        self._tag = ""  # an opening tag while it may be text
        self._gaps: list[str] = []  # white space while it may belong to a tag
        self._call: Reader | None = None
        self._closer = self.CLOSE

    def feed(self, text: str) -> list[ParserEvent]:
        """Take more text; return what is certain now."""
        if self._prose:
            if not self._marks.may_begin(text):
                return self._said(text)  # as with most pieces
            self._prose = False
        if self._call is not None and text and self._at == len(self._text):
            event = self._call.flow(text)  # or this
            if event is not None:
                return [event]
        return super().feed(text)

    @abstractmethod
    def _reader(self, marker: str) -> Reader:
        """Make what reads behind `marker`."""

    def _think(self, text: str) -> None:
        super()._think(text)
        self._thoughts.append(text)

    def _say(self, text: str) -> None:
        if text:
            self._spoke = self._spoke or not text.isspace()
            self._emit(TextDelta(text))

    def _next(self) -> int:
        """Count one more call; return its number, from 0."""
        self._calls += 1
        return self._calls - 1

    def _body(self) -> None:
        text, at = self._text, self._at
        end, self._at = self._marks.cut(text, at)
        self._out += self._said(text[at:end])
        self._prose = end == len(text)
        if self._at > end:
            self._marked(text[end : self._at])

    def _said(self, text: str) -> list[ParserEvent]:
        """Return text as an event, less white space that may belong to a marker behind it."""
        bare = text.rstrip() if self.TIGHT or self._inner else text
        if not bare:
            self._gaps += [text] if text else []
            return []
        said = bare
        if self._gaps:
            said = "".join(self._gaps) + bare
            self._gaps = []
        if len(bare) < len(text):
            self._gaps = [text[len(bare) :]]
        self._spoke = self._spoke or not said.isspace()
        return [TextDelta(said)]

    def _marked(self, marker: str) -> None:
        """Behind a marker that stands in the text."""
        if marker in self.BARE and self._spoke:
            self._say("".join(self._gaps) + marker)
        elif marker in self.OPENS:
            self._tag = "".join(self._gaps) + marker
            self._step = self._tagged if self.LIKELY else self._reads
        elif marker in self.BEGINS and self.ANYWHERE:
            self._step = self._opened
        else:
            if marker in self.SECTION[0] or marker in self.SECTION[1]:
                self._inner = marker in self.SECTION[0]
            self._step = self._gap if self.TIGHT or self._inner else self._body
        self._gaps = []

    def _tagged(self) -> None:
        """Behind a tag: is there a call, or another thing that a tag closes?"""
        at = blank_end(self._text, self._at)
        self._gaps.append(self._text[self._at : at])
        self._at = at
        if at == len(self._text):
            return
        tag = self._tag.lstrip()
        again = tag.endswith(">") and starts(self._text, at, tag)
        if again:  # the same tag twice
            self._gaps.append(tag)
            self._at += len(tag)
        if again is not False:
            return
        likely = self._likely(at)
        if likely:
            self._gaps = []
            self._step = self._reads
        elif likely is False:
            self._say(self._tag + "".join(self._gaps))
            self._gaps = []
            self._step = self._body

    def _likely(self, at: int) -> bool | None:
        """Say whether a call stands behind the tag; None where too little is there."""
        assert self.LIKELY is not None
        found = self.LIKELY.match(self._text, at, at + NEAR)
        if found:
            name = found.groupdict().get("name")
            return name is None or not self._tools or name in self._tools
        if self.UNLIKELY and self.UNLIKELY.match(self._text, at, at + NEAR):
            return False
        stop = at + NEAR
        if not self.CLOSE:
            return None if len(self._text) - at < NEAR else False
        close = self._text.find(self.CLOSE, at, stop)
        again = self._text.find(self._tag.lstrip(), at, close if close >= 0 else stop)
        if close >= 0 and again < 0:
            return True
        return None if again < 0 and len(self._text) - at < NEAR else False

    def _reads(self) -> None:
        if self._call is None:
            self._call = self._reader(self._tag.lstrip())
            self._tag = ""
        self._at = self._call.read(self._text, self._at)
        if self._call.done:
            self._over()

    def _over(self) -> None:
        self._call = None
        self._step = self._read
        self._read()

    def _read(self) -> None:
        """Behind a call."""
        self._step = self._gap if self.TIGHT or self._inner else self._body

    def _closing(self) -> None:
        """Behind an object: white space, braces too many and what closes it, if it is there."""
        while self._text[self._at : self._at + 1] in (" ", "\t", "\r", "\n", "}"):
            self._at += 1
        if self._at == len(self._text):
            return
        here = starts(self._text, self._at, self._closer)
        if here:
            self._at += len(self._closer)
        if here is not None:
            self._step = self._gap

    def _end(self, rest: str) -> None:
        if self._step == self._closing:
            self._say("" if self._closer.startswith(rest) else rest)  # a tag that was cut off
        elif self._call is not None:
            at = self._call.read(rest, 0, last=True)
            if self._call.done:  # there was more behind it
                self._call = None
                self._text, self._at = rest, at
                self._read()
                self._run()
                self._end(self._text[self._at :])
                return
            self._call.cut_off(rest[at:])
            self._call = None
        elif self._step == self._tagged and self.MAYBE and self.MAYBE.fullmatch(rest):
            self._reader(self._tag.lstrip()).cut_off(rest)
        elif self._step == self._tagged:
            tag = self._tag.lstrip()
            lone = not rest and tag.endswith(("[", ">", "]")) and tag not in self.BARE
            self._say("" if lone else self._tag + "".join(self._gaps) + rest)
        elif self._step == self._body:
            for mark in self.DROPS:
                rest = rest.removeprefix(mark)
            self._say("".join(self._gaps) + rest)
        elif self._step != self._reads:
            thinking = self._step == self._reasoning
            super()._end(rest)
            if thinking and not self._calls:
                self._recall("".join(self._thoughts))

    def _recall(self, thought: str) -> None:
        """Take the calls that end a thinking block which nothing has closed.

        In one that is closed they are reasoning: a model may write there what it will call.
        """
        found = [thought.find(mark) for mark in self.OPENS if mark[0] == "<" and mark in thought]
        if not found:
            return
        reader = type(self)(tools=tuple(self._tools.values()))
        reader._step = reader._body
        events = whole(reader, [thought[min(found) :]])
        calls = [event.call for event in events if isinstance(event, CallParsed)]
        known = all(not self._tools or call.name in self._tools for call in calls)
        other = [e for e in events if not isinstance(e, CallDelta | CallParsed) and e.text.strip()]
        if calls and known and not other and not any(call.error for call in calls):
            self._out += [event for event in events if isinstance(event, CallDelta | CallParsed)]

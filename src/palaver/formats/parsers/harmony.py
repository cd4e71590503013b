"""Harmony, the format of gpt-oss: messages on channels, each with a header.

    <|start|>assistant<|channel|>analysis<|message|>...<|end|>
    <|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>{...}<|call|>

(https://github.com/openai/harmony, docs/format.md.) Messages on `analysis` are reasoning, those to
a recipient are calls, all others are text: the answer (`final`) and what is said before a call
(`commentary`). A prompt ends within a header, behind the role. Header words are nobody's text;
what stands in a header and is no part of one is what its message says, marked with an error, and
so is a message in somebody else's name. Nothing raises and nothing is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from palaver.core.events import CallDelta, ParserEvent, ReasoningDelta, TextDelta
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import Markers, StepParser, claim
from palaver.formats.parsers._call import CallWriter, Emit
from palaver.formats.parsers._json_call import CUT_OFF, problem

START, CHANNEL, CONSTRAIN, MESSAGE = "<|start|>", "<|channel|>", "<|constrain|>", "<|message|>"
STOPS = ("<|end|>", "<|return|>", "<|call|>")
_ENDS = (START, *STOPS)  # of a header that no message follows
CHANNELS = ("analysis", "commentary", "final")
BROKEN = "the model wrote this where a message's header belongs"

_IN_HEADER = Markers(START, CHANNEL, CONSTRAIN, MESSAGE, *STOPS)
_IN_CONTENT = Markers(START, CHANNEL, *STOPS)
_IN_BROKEN = Markers(START, CHANNEL, MESSAGE, *STOPS)
_WORD = re.compile(r"\S+")
_AUTHOR = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.+/-]*")
_TYPES = ("json", "code", "text")
_NO_TOOLS = ("", "all", "assistant", "user")  # recipients that are no tools
_LONGEST = 256  # characters between two markers of a header
_CODE = re.compile(r'\{\s*"code"\s*:')
_CODE_NEAR = 64  # characters in which an object with `code` must begin


class HarmonyParser(StepParser):
    """Parts reasoning, text and calls."""

    BEGINS = ("<|channel|>analysis<|message|>",)
    ENDS = STOPS

    @classmethod
    def opened_by(cls, prompt: str) -> bool:
        """Say whether the end of a prompt has begun the reasoning."""
        return prompt.endswith(cls.BEGINS)

    def __init__(self, *, opened: bool = False, tools: Sequence[ToolSpec] = ()) -> None:
        """`opened`: the prompt has begun the reasoning; `tools`: what the model was told."""
        super().__init__()
        self._tools = {tool.name: tool for tool in tools}
        self._calls = 0
        self._call: _Call | None = None
        self._kind: type[TextDelta] | type[ReasoningDelta] = ReasoningDelta
        self._marks = _IN_CONTENT
        self._new = True
        self._error: str | None = None
        self._header = _Header()
        self._step = self._content if opened else self._heading

    def feed(self, text: str) -> list[ParserEvent]:
        """Take more text; return what is certain now."""
        if text and "<" not in text and self._at == len(self._text):  # nearly every token
            if not (self._new or self._error):
                return [self._kind(text)]
            if self._call and self._call.settled:
                return [self._call.more(text)]
        return super().feed(text)

    # -- headers -------------------------------------------------------------------------

    def _heading(self) -> None:
        """Within a header, or where one must come."""
        end, behind = _IN_HEADER.cut(self._text, self._at)
        marker = self._text[end:behind]
        broken = self._header.read(self._text[self._at : end], marker)
        if broken is not None:
            self._at += broken
            self._open(BROKEN)
        elif marker:
            self._at = behind
            self._headed(marker)

    def _headed(self, marker: str) -> None:
        if marker == MESSAGE:
            self._open()
        elif marker in _ENDS:
            self._wordless(cut_off=marker == START)
            self._next(marker)

    def _wordless(self, *, cut_off: bool) -> None:
        """End a message that has a header alone."""
        header = self._header
        named = header.author != "assistant"  # perhaps it was none
        odd = " ".join(filter(None, (header.who if named else "", header.type)))
        if odd:
            self._emit(TextDelta(odd, True, BROKEN))
        if header.called and not named:
            self._open()
            self._close(cut_off=cut_off)

    def _next(self, marker: str) -> None:
        """Behind the marker that ended a message."""
        self._header = _Header(marker if marker in (START, CHANNEL) else "")
        self._step = self._heading

    def _open(self, error: str | None = None) -> None:
        """Begin the content; with `error` the header ended where it should not."""
        header = self._header
        self._new, self._error = True, error
        self._marks = _IN_BROKEN if error else _IN_CONTENT
        self._step = self._content
        if header.author != "assistant":
            self._error = f"the model wrote this in the name of {header.who!r}"
            self._kind = TextDelta
        elif header.called:
            name = header.recipient.removeprefix("functions.")
            self._call = _Call(self._calls, self._emit, name, self._bare(name))
            self._calls += 1
            self._marks = _IN_CONTENT
        else:
            self._kind = ReasoningDelta if header.channel == "analysis" else TextDelta

    def _bare(self, name: str) -> str:
        """Return the argument that a tool takes as bare text; "" for one that takes JSON."""
        tool = self._tools.get(name)
        if tool is None:
            return "code" if name == "python" else ""
        known = tool.parameters.get("properties")
        needed = tool.parameters.get("required") or known
        if not isinstance(known, dict) or not isinstance(needed, dict | list) or len(needed) != 1:
            return ""
        one = str(next(iter(needed)))
        schema = known.get(one)
        return one if isinstance(schema, dict) and schema.get("type") == "string" else ""

    # -- contents ------------------------------------------------------------------------

    def _content(self) -> None:
        end, behind = self._marks.cut(self._text, self._at)
        self._write(self._text[self._at : end])
        self._at = behind
        if behind == end:
            return
        marker = self._text[end:behind]
        if marker == MESSAGE:  # the broken header's own message
            self._new, self._marks = True, _IN_CONTENT
            self._error = None if self._error == BROKEN else self._error
        else:
            self._close()
            self._next(marker)

    def _write(self, text: str) -> None:
        if self._call:
            self._call.write(text)
        elif text:
            self._emit(self._kind(text, self._new, self._error))
            self._new = False

    def _close(self, *, cut_off: bool = False) -> None:
        if self._call:
            self._call.shut(cut_off=cut_off)
            self._call = None
        self._new = True

    def _end(self, rest: str) -> None:
        if self._step == self._heading:
            broken = self._header.read(rest, "", over=True)
            if broken is None:
                self._wordless(cut_off=True)
                return
            self._open(BROKEN)
            rest = rest[broken:]
        self._write(rest)
        self._close(cut_off=True)


class _Header:
    """The words of one header, read a run (what stands between two markers) at a time."""

    def __init__(self, behind: str = "") -> None:
        """`behind` is the marker before the first run; "" where none stands there."""
        self.author = "assistant"
        self.channel = ""
        self.recipient = ""
        self.type = ""  # of the content, where it is none that is known
        self._behind = behind
        self._loose: int | None = None

    @property
    def called(self) -> bool:
        """Whether the message is for a tool."""
        return self.recipient not in _NO_TOOLS

    @property
    def who(self) -> str:
        """The author, and the tool that the message is for."""
        return f"{self.author} to={self.recipient}" if self.called else self.author

    def read(self, run: str, marker: str, *, over: bool = False) -> int | None:
        """Take a run that `marker` ends, or the reply if `over`, else as far as it came.

        Returns where what is no part of a header begins, None where there is no such thing.
        """
        near = run[:_LONGEST]
        whole = (bool(marker) or over) and near == run
        before = self.author, self.channel, self.recipient, self.type
        broken = self._words(near, whole=whole, more=near != run)
        if broken is None and whole and self._loose is not None and (over or marker in _ENDS):
            broken = self._loose
        if broken == 0 or (broken is None and not whole):
            self.author, self.channel, self.recipient, self.type = before
        elif marker and broken is None:
            self._behind = marker
        return broken

    def _words(self, near: str, *, whole: bool, more: bool) -> int | None:
        """Take the words of a run; `_loose` is where content begins if no header follows."""
        self._loose = None
        typed = False
        for count, found in enumerate(_WORD.finditer(near)):
            word, start = found[0], found.start() if count else 0
            here = start if self._loose is None else self._loose
            if typed:
                return here
            if found.end() == len(near) and not whole:  # perhaps not all of the word
                return here if more else None
            if len(word) > 3 and word.startswith("to=") and not self.recipient:
                self.recipient = word[3:]
            elif count == 0 and self._behind == CHANNEL and word in CHANNELS:
                self.channel = word
            elif count == 0 and self._names(word):
                self._loose = None if (self._behind, word) == (START, "assistant") else 0
            elif word in _TYPES or (self._behind == CONSTRAIN and _TYPE.fullmatch(word)):
                self._loose, typed = here, True
                self.type = "" if word in _TYPES else word
            else:
                return here
        return (len(near) if self._loose is None else self._loose) if more else None

    def _names(self, word: str) -> bool:
        """Take the first word behind `<|start|>`, or behind nothing, if it can be one."""
        if self._behind not in ("", START):
            return False
        if word in CHANNELS:
            self.channel = word
        elif word == "assistant" or (self._behind == START and _AUTHOR.fullmatch(word)):
            self.author = word
        else:
            return False
        return True


class _Call(CallWriter):
    """A call while it comes. One that takes `bare` text gets it as a JSON string."""

    def __init__(self, index: int, emit: Emit, name: str, bare: str) -> None:
        """`bare` is the argument that the text is; "" where it is the arguments' JSON."""
        super().__init__(index, emit)
        self._bare = bare
        self._any = name == "python"  # code may begin with a bracket
        self._waiting: list[str] | None = [] if bare else None
        self.name(name)

    @property
    def settled(self) -> bool:
        """Whether it is known how the arguments are written."""
        return self._waiting is None

    def more(self, text: str) -> CallDelta:
        """Take more of the arguments, settled and not empty."""
        text = _inner(text) if self._bare else text
        self._arguments.append(text)
        return CallDelta(self._index, None, text)

    def write(self, text: str) -> None:
        """Take more of the message."""
        if not text:
            return
        if self._waiting is None:
            self._emit(self.more(text))
            return
        self._waiting.append(text)
        begun = "".join(self._waiting)
        if self._decided(begun):
            self._settle(begun)

    def shut(self, *, cut_off: bool) -> None:
        """End the call; `cut_off` where the reply ended and not the message."""
        if self._waiting:
            self._settle("".join(self._waiting))
        if self._waiting is None and self._bare:
            self.argue('"}')
            self.close(CUT_OFF if cut_off else None)
        elif cut_off and problem("".join(self._arguments)):
            self.close(CUT_OFF)
        else:
            self.close()

    def _decided(self, begun: str) -> bool:
        text = begun[:_CODE_NEAR].lstrip()
        if len(begun) >= _CODE_NEAR or (text and not text.startswith("{")):
            return True
        return bool(text) and (not self._any or bool(_CODE.match(text)))

    def _settle(self, begun: str) -> None:
        """Say whether the message is bare text, by how it begins, and write that."""
        text = begun[:_CODE_NEAR].lstrip()
        as_json = bool(_CODE.match(text)) if self._any else text.startswith("{")
        self._waiting = None
        if as_json:
            self._bare = ""
        else:
            self.argue("{" + json.dumps(self._bare) + ': "')
        self.write(begun)


def _inner(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


PARSER = HarmonyParser
CLAIMS = claim(START, CHANNEL + "analysis" + MESSAGE)

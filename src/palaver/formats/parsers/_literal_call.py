"""Reads one call written as a function's: `f(a=1, b='x')`, or Gemma's `call:f{a:1}`."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from palaver.formats.parsers._base import blank_end
from palaver.formats.parsers._call import LONGEST_NAME, CallReader, Emit
from palaver.formats.parsers._json_call import CUT_OFF
from palaver.formats.parsers._typed import escaped

_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL
)
_CONTROL = {"n", "r", "t", "b", "f", '"', "\\", "/"}
_NAMED = {"a": "\\u0007", "v": "\\u000b", "'": "'", "\n": ""}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z")
_PYTHON_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z")
_PYTHON_INTEGER = re.compile(r"[+-]?(?:0x[0-9a-f]+|0o[0-7]+|0b[01]+|[1-9](?:_?\d)*)\Z", re.I)
_NAME = re.compile(r"[\w.-]+")
_WORDS = {"True": "true", "False": "false", "None": "null", "null": "null"}
_LONGEST_ESCAPE = 10
_FOLLOWS = re.compile(r"\s{0,16}(?:([,\]}:])|\)\s{0,16}([,;\]<])?)?")


class Style(NamedTuple):
    """How a dialect writes values.

    `opens` is the bracket behind the name; `quotes` are the texts that a string stands in, of
    which those in `plain` know no backslash; `word` matches a bare word. `loose`: a quote is one
    of the string's characters unless something follows it that may follow a string.
    """

    opens: str
    quotes: tuple[str, ...]
    plain: tuple[str, ...]
    word: re.Pattern[str]
    prefix: str = ""
    loose: bool = False


PYTHON = Style("(", ("'''", '"""', "'", '"'), (), re.compile(r"[^\s\[\]{}(),:='\"]+"))
LOOSE_PYTHON = PYTHON._replace(loose=True)


class LiteralCall(CallReader):
    """One call, turned into JSON while it comes."""

    def __init__(self, index: int, emit: Emit, style: Style = PYTHON, end: str = "") -> None:
        """`end` is the marker before which a call without its bracket is cut off."""
        super().__init__(index, emit)
        self._style = style
        self._end = end
        self._stack: list[str] = []
        self._comma = ""  # a comma that comes when something follows it
        self._word: str | None = None  # a word that may be a key
        self._quote = ""
        self._raw = False  # a string in which a backslash is one
        self._odd: list[str] = []
        self._step = self._naming

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""
        if not self._write.named:
            if rest.strip():
                self._write.close(CUT_OFF, rest)
            return
        self._settle("")
        self._write.argue(rest)
        self._write.close(CUT_OFF)

    def _naming(self, text: str, at: int, last: bool) -> int:
        open_at = text.find(self._style.opens, at, at + LONGEST_NAME)
        end = text.find(self._end, at, at + LONGEST_NAME) if self._end else -1
        if open_at >= 0 and (end < 0 or open_at < end):
            name = text[at:open_at].strip().removeprefix(self._style.prefix).strip()
            self._write.name(name.removesuffix(".call") if self._style.opens == "(" else name)
            self._step = self._value
            return open_at
        if end >= 0 or len(text) - at >= LONGEST_NAME or last:
            stop = end if end >= 0 else min(len(text), at + LONGEST_NAME)
            raw = text[at:stop].strip()
            if raw and not last:
                name = raw.removeprefix(self._style.prefix)
                if name != raw and _NAME.fullmatch(name):  # a call without arguments
                    self._write.name(name)
                self._write.close(raw=text[at:stop])
                self.done = True
                return stop
        return at

    def _value(self, text: str, at: int, last: bool) -> int:
        """Outside of strings."""
        char = text[at]
        if char.isspace():
            return at + 1
        if self._end and self._end[0] == char:
            if text.startswith(self._end, at):
                self._settle("")
                self._write.close(CUT_OFF)
                self.done = True
                return at
            if self._end.startswith(text[at:]) and not last:
                return at
        for quote in self._style.quotes:
            if text.startswith(quote, at):
                self._raw = self._style.opens == "(" and self._word in ("r", "R")
                if self._raw:
                    self._word = None
                self._settle("")
                self._begin('"')
                self._quote = quote
                self._step = self._string
                return at + len(quote)
            if quote.startswith(text[at:]) and not last:
                return at
        if char in "[{(":
            self._settle("")
            self._begin("{" if char == "{" or not self._stack else "[")
            self._stack.append("}" if char == "{" or not self._stack else "]")
            return at + 1
        if char in ")]}":
            return self._closing(at)
        if char == ",":
            self._settle("")
            self._comma = ", "
            return at + 1
        if char in ":=":
            self._settle(char)
            self._write.argue(": ")
            return at + 1
        return self._wording(text, at, last)

    def _closing(self, at: int) -> int:
        self._settle("")
        self._comma = ""
        self._write.argue(self._stack.pop())
        if not self._stack:
            error = f"the value {self._odd[0]} is not known" if self._odd else None
            self._write.close(error)
            self.done = True
        return at + 1

    def _wording(self, text: str, at: int, last: bool) -> int:
        found = self._style.word.match(text, at, at + LONGEST_NAME)
        end = found.end() if found else at + 1
        near = len(text) - at < LONGEST_NAME
        if near and not last and blank_end(text, end) == len(text):
            return at
        self._settle("")
        self._word = text[at:end].strip()
        return end

    def _settle(self, separator: str) -> None:
        """Write the word that was held back: a key before a separator, else a value."""
        word, self._word = self._word, None
        if word is None:
            return
        if separator:
            self._begin(json.dumps(word, ensure_ascii=False))
        elif word in _WORDS or word in ("true", "false") or _NUMBER.match(word):
            self._begin(_WORDS.get(word, word))
        elif len(word) < 40 and self._style.opens == "(" and _PYTHON_INTEGER.match(word):
            self._begin(str(int(word, 0)))
        elif len(word) < 40 and self._style.opens == "(" and _PYTHON_NUMBER.match(word):
            self._begin(json.dumps(float(word)))
        else:
            self._begin(json.dumps(word, ensure_ascii=False))
            if self._style.opens == "(":
                self._odd.append(word)

    def _begin(self, text: str) -> None:
        self._write.argue(self._comma + text)
        self._comma = ""

    def _string(self, text: str, at: int, last: bool) -> int:
        plain = self._raw or self._quote in self._style.plain
        end = text.find(self._quote, at)
        slash = -1 if plain else text.find("\\", at, end if end >= 0 else len(text))
        if slash >= 0:
            self._text(text[at:slash])
            return self._escaped(text, slash, last)
        if end >= 0:
            self._text(text[at:end])
            behind = end + len(self._quote)
            follows = _FOLLOWS.match(text, behind) if self._style.loose and not last else None
            if follows and not (follows[1] or follows[2]):
                if follows.end() == len(text):
                    return end  # it is not seen yet what follows
                self._text(self._quote)
                return behind
            self._write.argue('"')
            self._step = self._value
            return behind
        stop = len(text)
        for size in range(1, len(self._quote)):
            if not last and text.endswith(self._quote[:size]):
                stop = max(at, len(text) - size)
        self._text(text[at:stop])
        return stop

    def _text(self, text: str) -> None:
        self._write.argue(escaped(text))

    def _escaped(self, text: str, at: int, last: bool) -> int:
        if len(text) - at < _LONGEST_ESCAPE and not last and len(text) - at < _need(text, at):
            return at
        found = _ESCAPE.match(text, at)
        if not found:
            self._write.argue("\\\\")
            return at + 1
        what = found.group()[1:]
        if what in _CONTROL:
            self._write.argue("\\" + what)
        elif what in _NAMED:
            self._write.argue(_NAMED[what])
        elif what[0] == "u" and len(what) == 5:
            self._write.argue("\\" + what)
        elif what[0] in "xU" and len(what) > 1 and int(what[1:], 16) < 0x110000:
            self._write.argue(json.dumps(chr(int(what[1:], 16)))[1:-1])
        elif what.isdigit() and what[0] in "01234567":
            self._write.argue(json.dumps(chr(int(what, 8)))[1:-1])
        else:  # no escape that Python knows: it stays as it is
            self._write.argue("\\\\")
            return at + 1
        return found.end()


def _need(text: str, at: int) -> int:
    """Return how many characters the escape at `at` may have."""
    kind = text[at + 1 : at + 2]
    return {"x": 4, "u": 6, "U": 10, "": 2}.get(kind, 4 if kind in "01234567" else 2)

"""Inline Markdown (CommonMark 0.31, and strikethrough and bare links of GFM) of open-ended text.

`parse` tells how far the styles of a text can't change any more, whatever follows; what is
before that point never has to be looked at again. So that this point always moves on, no span
(emphasis, code, link) may be longer than `LIMIT` characters; a marker that has no partner within
that distance is text. Reference links are text as well: their target may come at the end.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from palaver.terminal.escape import visible
from palaver.terminal.style import BOLD, CODE, ITALIC, LINK, STRIKE, URL, Run

LIMIT = 1000

_SPECIAL = re.compile(r"\\|`+|\*+|_+|~~+|!?\[|\]|<|&|https?://")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_TARGET = re.compile(
    r"""\([ \n]*+
    (?: <([^<>\n]*+)> | ((?: [^\s()\\]++ | \\. | \( (?:[^\s()\\]++|\\.)*+ \) )*+) )
    (?: [ \n]++ ( "(?:[^"\\]++|\\.)*+" | '(?:[^'\\]++|\\.)*+' | \((?:[^()\\]++|\\.)*+\) ) )?+
    [ \n]*+\)""",
    re.VERBOSE,
)
_AUTOLINK = re.compile(
    r"<((?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]{0,1000}|[\w.+-]{1,100}@[\w.-]{1,200}))>"
)
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_OPEN_ANGLE = re.compile(r"<(?:br ?/?|[\w.+:@-][^\s<>]{0,1000})?\Z", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_OPEN_ENTITY = re.compile(r"&(?:#(?:\d{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z0-9]{0,32})\Z")
_URL = re.compile(r"https?://[!#-;=?-Z^_a-~]{1,900}")
_OPEN_URL = re.compile(r"(?<![A-Za-z0-9])h(?:t(?:t(?:ps?(?::/?)?)?)?)?\Z")


@dataclass(slots=True)
class _Delimiter:
    """A run of `*`, `_` or `~~`, while it may still open emphasis."""

    node: int
    at: int
    char: str
    count: int
    opens: bool
    closes: bool
    length: int


@dataclass(slots=True)
class _Bracket:
    node: int
    at: int
    image: bool
    delimiters: int  # how many came before it
    active: bool = True


class _Parse:
    """One pass over a text; see `parse`."""

    def __init__(self, text: str, before: str, *, final: bool, guess: bool) -> None:
        self.text, self.before = text, before
        self.final, self.guess = final, guess
        self.nodes: list[tuple[int, str]] = []  # where it stands, what it shows
        self.spans: list[tuple[int, int, int]] = []  # first node, node after the last, style
        self.delimiters: list[_Delimiter] = []
        self.brackets: list[_Bracket] = []
        self.cut = len(text)  # from here on nothing is known yet

    def scan(self) -> None:
        text, at = self.text, 0
        while match := _SPECIAL.search(text, at):
            start = match.start()
            if start > at:
                self.nodes.append((at, text[at:start]))
            at = self._special(match[0], start)
            if at < 0:  # what this is depends on what follows
                self.cut = min(self.cut, start)
                return
        if not self.final:
            tail = _OPEN_URL.search(text, max(at, len(text) - 8))
            if tail:
                self.cut = min(self.cut, tail.start())
            elif text.endswith(("!", "~"), at):
                self.cut = min(self.cut, len(text) - 1)
        if at < self.cut:
            self.nodes.append((at, text[at : self.cut]))

    def _special(self, mark: str, at: int) -> int:
        """Handle the marker at `at`; return where to go on, -1 if that can't be told yet."""
        char = mark[0]
        if char == "`":
            return self._code(mark, at)
        if char in "*_~":
            return self._delimiter(mark, at)
        if char in "![":
            self.brackets.append(_Bracket(len(self.nodes), at, char == "!", len(self.delimiters)))
            self.nodes.append((at, mark))
            return at + len(mark)
        if char == "]":
            return self._close_bracket(at)
        if char == "h":
            return self._bare_link(at)
        return self._small(char, at)

    def _small(self, char: str, at: int) -> int:
        """A backslash, an entity, an autolink, a line break of HTML."""
        text = self.text
        if char == "\\":
            following = text[at + 1 : at + 2]
            if not following and not self.final:
                return -1
            if following == "\n":
                return at + 1
            plain = following in _PUNCTUATION if following else False
            self.nodes.append((at, following if plain else "\\"))
            return at + 2 if plain else at + 1
        if char == "&":
            if match := _ENTITY.match(text, at):
                from html import unescape

                # An entity may be any character, ESC too; some are none.
                shown = visible(unescape(match[0]), newlines=False)
                self.nodes.append((at, shown or match[0]))
                return match.end()
            open_ended = _OPEN_ENTITY.match(text, at)
        elif match := _BREAK.match(text, at):
            self.nodes.append((at, "\n"))
            return match.end()
        elif match := _AUTOLINK.match(text, at):
            self._style(LINK, len(self.nodes), len(self.nodes) + 1)
            self.nodes.append((at, match[1]))
            return match.end()
        else:
            open_ended = _OPEN_ANGLE.match(text, at)
        if open_ended and not self.final:
            return -1
        self.nodes.append((at, char))
        return at + 1

    def _style(self, style: int, start: int, end: int) -> None:
        self.spans.append((start, end, style))

    def _code(self, mark: str, at: int) -> int:
        text, size = self.text, len(mark)
        begin = at + size
        close = begin
        while (close := text.find(mark, close, at + LIMIT + size)) >= 0:
            end = close
            while end < len(text) and text[end] == "`":
                end += 1
            if end - close == size:
                if end == len(text) and not self.final:
                    return -1
                break
            close = end
        if close < 0:
            if not self.final and len(text) - at <= LIMIT + size:
                return -1
            if not self.guess:
                self.nodes.append((at, mark))
                return begin
            close = end = len(text)
        code = text[begin:close].replace("\n", " ")
        if code.strip() and code[0] == code[-1] == " ":
            code = code[1:-1]
        self._style(CODE, len(self.nodes), len(self.nodes) + 1)
        self.nodes.append((at, code))
        return end

    def _delimiter(self, mark: str, at: int) -> int:
        text, char, end = self.text, mark[0], at + len(mark)
        if end == len(text) and not self.final:
            return -1
        before = text[at - 1] if at else self.before
        after = text[end : end + 1] or "\n"
        left = _flanks(before, after)
        right = _flanks(after, before)
        if char == "_":
            opens = left and (not right or _is_punctuation(before))
            closes = right and (not left or _is_punctuation(after))
        else:
            opens, closes = left, right
        if char == "~" and len(mark) != 2:
            opens = closes = False
        if opens or closes:
            count = len(mark)
            self.delimiters.append(
                _Delimiter(len(self.nodes), at, char, count, opens, closes, count)
            )
        self.nodes.append((at, mark))
        return end

    def _bare_link(self, at: int) -> int:
        text = self.text
        before = text[at - 1] if at else self.before
        match = _URL.match(text, at)
        if before.isalnum() or not match:
            if not match and not self.final and at + 8 >= len(text):
                return -1
            self.nodes.append((at, "h"))
            return at + 1
        if match.end() == len(text) and not self.final and len(match[0]) < 900:
            return -1
        url = match[0].rstrip("?!.,:;*_~'\"]")
        while url.endswith(")") and url.count(")") > url.count("("):
            url = url[:-1].rstrip("?!.,:;*_~'\"]")
        self._style(LINK, len(self.nodes), len(self.nodes) + 1)
        self.nodes.append((at, url))
        return at + len(url)

    def _close_bracket(self, at: int) -> int:
        text = self.text
        while self.brackets and at - self.brackets[-1].at > LIMIT:
            self.brackets.clear()  # those before it are farther still
        bracket = self.brackets[-1] if self.brackets else None
        if bracket is not None and (bracket.active or bracket.image):
            match = _TARGET.match(text, at + 1, bracket.at + LIMIT)
            if match:
                self._link(bracket, match, at)
                return match.end()
            begun = text[at + 1 : at + 2] in ("", "(")
            if begun and not self.final and len(text) - bracket.at <= LIMIT:
                self.cut = min(self.cut, bracket.at)
                return -1
        if bracket is not None:
            self.brackets.pop()
        self.nodes.append((at, "]"))
        return at + 1

    def _link(self, bracket: _Bracket, match: re.Match[str], at: int) -> None:
        self.brackets.pop()
        inner = self.delimiters[bracket.delimiters :]
        del self.delimiters[bracket.delimiters :]
        self._emphasis(inner)
        self.nodes[bracket.node] = (bracket.at, "")
        self._style(LINK, bracket.node, len(self.nodes))
        label = "".join(text for _, text in self.nodes[bracket.node :])
        target = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", match[1] or match[2] or "")
        title = f" {match[3]}" if match[3] else ""
        if not label.strip():
            self._style(LINK, len(self.nodes), len(self.nodes) + 1)
            self.nodes.append((at, target + title))
        elif target not in (label, f"mailto:{label}") or title:
            self.nodes.append((at, " "))
            self._style(URL, len(self.nodes), len(self.nodes) + 1)
            self.nodes.append((at, f"({target}{title})"))
        if not bracket.image:  # no links in links
            for other in self.brackets:
                other.active = False

    def _emphasis(self, delimiters: list[_Delimiter]) -> list[_Delimiter]:
        """Pair openers and closers; return the openers that are left."""
        openers: list[_Delimiter] = []
        barren: dict[tuple[str, bool, int], int] = {}  # below this no opener fits such a closer
        for closer in delimiters:
            kind = (closer.char, closer.opens, closer.length % 3)
            while closer.closes and closer.count:
                at = _opener(openers, closer, barren.get(kind, 0))
                if at < 0:
                    barren[kind] = len(openers)
                    break
                opener = openers[at]
                size = 2 if opener.count >= 2 and closer.count >= 2 else 1
                style = STRIKE if closer.char == "~" else (ITALIC, BOLD)[size - 1]
                self._style(style, opener.node + 1, closer.node)
                for each in (opener, closer):
                    each.count -= size
                    self.nodes[each.node] = (each.at, each.char * each.count)
                keep = at + 1 if opener.count else at
                del openers[keep:]
                barren = {kind: min(bottom, keep) for kind, bottom in barren.items()}
            # Unlike CommonMark's, a run that closed something does not open anything: so what is
            # certain never depends on a chain of runs that reaches back without end.
            if closer.opens and closer.count == closer.length:
                openers.append(closer)
        return openers

    def result(self) -> tuple[list[Run], int]:
        """Return the runs that are certain and the place that they end at."""
        self.scan()
        known = self.cut
        if not self.final:  # a partner within reach may come, or stand where it is not known yet
            for bracket in self.brackets:
                if (bracket.active or bracket.image) and self.cut - bracket.at <= LIMIT:
                    known = min(known, bracket.at)
        left = self._emphasis([mark for mark in self.delimiters if mark.at < known])
        if self.guess:
            for opener in left:
                style = STRIKE if opener.char == "~" else (BOLD if opener.count > 1 else ITALIC)
                self._style(style, opener.node + 1, len(self.nodes))
                self.nodes[opener.node] = (opener.at, "")
        elif not self.final:
            reach = known - LIMIT
            known = min([known, *(opener.at for opener in left if opener.at >= reach)])
        return self._runs(known), known

    def _runs(self, known: int) -> list[Run]:
        """Return the nodes before `known` with the styles of the spans that they stand in."""
        begins: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}
        for start, end, style in self.spans:
            if start < end:
                begins.setdefault(start, []).append(style)
                ends.setdefault(end, []).append(style)
        open_: Counter[int] = Counter()
        style = 0
        runs: list[Run] = []
        for number, (at, text) in enumerate(self.nodes):
            if at >= known:
                break
            if number in begins or number in ends:
                open_.update(begins.get(number, ()))
                open_.subtract(ends.get(number, ()))
                style = sum(bit for bit, count in open_.items() if count)
            if text:
                runs.append((text, style))
        return runs


def _opener(openers: list[_Delimiter], closer: _Delimiter, bottom: int) -> int:
    """Return the index of the nearest opener that `closer` closes, or -1."""
    for at in range(len(openers) - 1, bottom - 1, -1):
        opener = openers[at]
        if closer.at - opener.at > LIMIT:
            return -1
        if opener.char != closer.char or (closer.char == "~" and opener.count != closer.count):
            continue
        if (
            (opener.closes or closer.opens)
            and (opener.length + closer.length) % 3 == 0
            and not (opener.length % 3 == 0 and closer.length % 3 == 0)
        ):
            continue
        return at
    return -1


def _is_punctuation(char: str) -> bool:
    return char in _PUNCTUATION or unicodedata.category(char)[0] in "PS"


def _flanks(outside: str, inside: str) -> bool:
    """Tell whether a run between these two is flanking towards `inside` (CommonMark 6.2)."""
    if inside.isspace():
        return False
    return not _is_punctuation(inside) or outside.isspace() or _is_punctuation(outside)


def parse(
    text: str, before: str = "\n", *, final: bool = True, guess: bool = False
) -> tuple[list[Run], int]:
    """Return styled runs of `text`, which follows the character `before`, and how far they go.

    With `final` the text is complete and they go to its end. Without, they go as far as no text
    that may follow can change. `guess` closes what is open at the end, for text under way.
    """
    return _Parse(text, before, final=final, guess=guess).result()

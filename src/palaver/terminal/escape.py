r"""Make untrusted text safe to write to a terminal.

Every string that a model, a tool, a file or a model's metadata supplies passes `visible` (or an
`Escaper`, where it comes in pieces) before it reaches a terminal. What could move the cursor,
change the terminal, reorder, hide or fake text comes out as an escape that is seen: `\x1b`,
`\u202e`, `\U000e0041`. What people write comes out as it went in: emoji sequences, the joiners
of Indic and Arabic scripts, combining marks.

Sources: the escape sequences of ECMA-48; Default_Ignorable_Code_Point, Bidi_Control and
Extended_Pictographic of the Unicode Character Database 16; UAX 31 for joiners.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

ZWNJ, ZWJ = "\u200c", "\u200d"
VS15, VS16 = "\ufe0e", "\ufe0f"
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Characters that are harmless wherever they stand. It needs not be complete: what is missing is
# looked at one by one. Built of assigned letters, digits, punctuation and symbols alone.
_CLEAN = (
    "\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0377\u037a-\u037f\u038e-\u03a1\u03a3-\u0482"
    "\u048a-\u052f\u0531-\u0556\u05d0-\u05ea\u0620-\u064a\u0671-\u06d3\u0904-\u0939\u0e01-\u0e30"
    "\u1e00-\u1f15\u2010-\u2027\u2030-\u205e\u20a0-\u20c0\u2100-\u218b\u2190-\u2426\u2460-\u2b73"
    "\u3000-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u3105-\u312f\u3131-\u3163\u3220-\ua48c"
    "\uac00-\ud7a3\uf900-\ufa6d\uff01-\uff9f\uffe0-\uffe6\ufffd"
    "\U0001f1e6-\U0001f1ff\U0001f300-\U0001f6d7\U0001f900-\U0001fa53\U00020000-\U0002a6df"
)

# Extended_Pictographic, with the code points that Unicode reserves for coming emoji.
_PICTOGRAPHIC = (
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u2388\u23cf"
    "\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2605"
    "\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2714\u2716\u271d\u2721\u2728\u2733"
    "\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763-\u2767\u2795-\u2797\u27a1\u27b0"
    "\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f0ff\U0001f10d-\U0001f10f\U0001f12f\U0001f16c-\U0001f171"
    "\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a\U0001f1ad-\U0001f1e5"
    "\U0001f201-\U0001f20f\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f23c-\U0001f23f"
    "\U0001f249-\U0001f3fa\U0001f400-\U0001f53d\U0001f546-\U0001f64f\U0001f680-\U0001f6ff"
    "\U0001f774-\U0001f77f\U0001f7d5-\U0001f7ff\U0001f90c-\U0001f93a\U0001f93c-\U0001f945"
    "\U0001f947-\U0001faff]"
)
# Scripts in which a joiner changes how the letters at its sides look.
_JOINING = (
    "[\u0620-\u06d3\u06d5-\u06ff\u0710-\u077f\u07ca-\u07ff\u0840-\u085b\u0860-\u088e\u08a0-\u0dff"
    "\u1000-\u109f\u1780-\u17d3\u1820-\u18aa\ua840-\ua871\ua980-\ua9c0\ufb50-\ufbb1\ufbd3-\ufdfb"
    "\ufe70-\ufefc\U00011000-\U00011fff\U0001e900-\U0001e94b]"
)
_KEYCAP = "\u20e3"
_KEYCAP_BASES = frozenset("0123456789#*")
_MODIFIERS = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_MAX_JOINS = 5  # the longest sequences in use have three

# Marks of the Latin kind pile up on anything and reach into the lines above; those of a script
# stay inside its cell, and Tibetan or Hebrew need more of them.
_STACKING = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MAX_STACKING, _MAX_MARKS = 4, 8

# Category Cf, and yet with a glyph: number and verse signs of Arabic, Syriac and Kaithi.
_SEEN_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2") | {
    "\U000110bd",
    "\U000110cd",
}
# Default_Ignorable_Code_Point outside Cf and Cn: fillers, grapheme joiner, variation selectors.
_IGNORED = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | {
    chr(c) for c in range(0xFE00, 0xFE0E)
}

_KEEP, _MARK, _ESCAPE, _LATER = range(4)


@cache  # compiled at first need: together they cost 10 ms, and most programs start on ASCII
def _suspect(newlines: bool) -> re.Pattern[str]:
    return re.compile(f"[^\n\t{_CLEAN}]" if newlines else f"[^{_CLEAN}]")


@lru_cache(maxsize=4096)
def _is(pattern: str, char: str) -> bool:
    return re.match(pattern, char) is not None


@lru_cache(maxsize=4096)
def _kind(char: str) -> int:
    """Tell what to do with `char`, `_LATER` where that depends on the character after it."""
    if char in (ZWNJ, ZWJ, VS15, VS16, "\r"):
        return _LATER
    if char in _IGNORED:
        return _ESCAPE
    category, point = unicodedata.category(char), ord(char)
    if category[0] in "LNPSZ":
        if category in ("Zl", "Zp"):
            return _ESCAPE
        # Vowels and finals of decomposed Hangul take no cell of their own.
        jamo = 0x1161 <= point <= 0x11FF or 0xD7B0 <= point <= 0xD7FF
        return _MARK if jamo else _KEEP
    if category[0] == "M":
        # Variation selectors 17 to 256 carry any byte unseen.
        return _ESCAPE if 0xE0100 <= point <= 0xE01EF else _MARK
    if char in _SEEN_FORMATS:
        return _KEEP
    if category == "Cn":  # newer than this Python's tables: emoji and ideographs are let through
        ideograph = 0x20000 <= point <= 0x3FFFD and point & 0xFFFF < 0xFFFE
        return _KEEP if ideograph or _is(_PICTOGRAPHIC, char) else _ESCAPE
    return _ESCAPE


def _escape(char: str) -> str:
    """Spell `char` as an escape of printable ASCII."""
    point = ord(char)
    if short := _SHORT.get(char):
        return short
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


class Escaper:
    """Do what `visible` does to text that comes in pieces, cut anywhere.

    Joining what `feed` and at the end `finish` give equals `visible` of the joined pieces. At
    most one character is held back.
    """

    __slots__ = ("_bases", "_held", "_joins", "_marks", "_newlines", "_prev", "_suspect")

    def __init__(self, *, newlines: bool = True) -> None:
        self._suspect = _suspect(newlines)
        self._newlines = newlines
        self._held = ""
        self._prev = ""  # the last character, "" at the start and after an escape
        self._marks = 0  # marks on the current base
        self._joins = 0  # joiners in the current emoji
        self._bases = 0  # characters since the last joiner that begin one of their own

    def feed(self, text: str) -> str:
        """Return what of the text so far can be shown."""
        if self._held:
            text, self._held = self._held + text, ""
        elif not self._suspect.search(text):
            if text:
                self._passed(text)
            return text
        return self._run(text, final=False)

    def finish(self) -> str:
        """Return what was held back."""
        text, self._held = self._held, ""
        return self._run(text, final=True) if text else ""

    def _run(self, text: str, *, final: bool) -> str:
        out: list[str] = []
        done = 0
        for match in self._suspect.finditer(text):
            at = match.start()
            if at > done:
                out.append(text[done:at])
                self._passed(out[-1])
            char = text[at]
            following = text[at + 1 : at + 2]
            kind = _kind(char)
            if kind == _LATER and not following and not final:
                self._held = char
                return "".join(out)
            out.append(self._one(char, kind, following))
            done = at + 1
        if done < len(text):
            out.append(text[done:])
            self._passed(out[-1])
        return "".join(out)

    def _passed(self, run: str) -> None:
        """Note that `run`, not empty, went through as it is."""
        self._prev, self._marks = run[-1], 0
        self._bases += len(run) if len(run) > 3 else sum(char not in _MODIFIERS for char in run)

    def _one(self, char: str, kind: int, following: str) -> str:
        if char == "\r" and following == "\n" and self._newlines:
            return ""  # the newline follows
        if kind == _MARK:
            limit = _MAX_STACKING if _is(_STACKING, char) else _MAX_MARKS
            fits = self._prev not in ("", "\n", "\t") and self._marks < limit
            self._marks += 1
        else:
            fits = kind == _KEEP or (kind == _LATER and self._belongs(char, following))
            if kind != _LATER or not fits:
                self._marks = 0
                self._bases += 1
        if fits:
            self._prev = char
            return char
        # What is over the limit is spelled out; the next mark must not sit on that spelling.
        self._prev = ""
        return _escape(char)

    def _belongs(self, char: str, following: str) -> bool:
        """Tell whether a joiner or selector does what it is for between its neighbours."""
        prev = self._prev
        if char in (VS15, VS16):
            keycap = prev in _KEYCAP_BASES and following == _KEYCAP
            return keycap or _is(_PICTOGRAPHIC, prev)
        if char == "\r" or not prev:
            return False
        if char == ZWJ and _is(_PICTOGRAPHIC, following):
            self._joins = self._joins + 1 if self._bases == 1 else 1
            self._bases = 0
            emoji = prev == VS16 or prev in _MODIFIERS or _is(_PICTOGRAPHIC, prev)
            return emoji and self._joins <= _MAX_JOINS
        if char == ZWJ and unicodedata.combining(prev) == 9:  # after a virama, also at a word's end
            return _is(_JOINING, prev)
        return _is(_JOINING, prev) and _is(_JOINING, following)


def visible(text: str, *, newlines: bool = True) -> str:
    r"""Return `text` with everything that a terminal would act on, or hide, spelled out.

    A CR LF becomes a newline. Newlines and tabs stay, unless `newlines` is false: then they are
    spelled out as well, for a string that must stay on its line (a title, a file name).
    """
    if text.isascii() and text.isprintable():
        return text
    if not _suspect(newlines).search(text):
        return text
    escaper = Escaper(newlines=newlines)
    return escaper.feed(text) + escaper.finish()

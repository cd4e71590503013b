"""Styles of text on a terminal: sets of bits, and the SGR codes they become.

Only the sixteen colours of the user's own theme are used.
"""

from __future__ import annotations

from collections.abc import Iterable

BOLD, ITALIC, STRIKE, LINK, CODE, URL, QUOTE, MARKER, FENCE, RULE = (1 << i for i in range(10))
TITLE, HEADING, KEYWORD, STRING, COMMENT, NUMBER, NAME, ADDED, REMOVED = (
    1 << i for i in range(10, 19)
)

_CODES = {
    BOLD: "1",
    ITALIC: "3",
    STRIKE: "9",
    LINK: "4",
    CODE: "36",
    URL: "2",
    QUOTE: "2",
    MARKER: "33",
    FENCE: "2",
    RULE: "2",
    TITLE: "1;4;35",
    HEADING: "1;35",
    KEYWORD: "35",
    STRING: "32",
    COMMENT: "2;3",
    NUMBER: "33",
    NAME: "34",
    ADDED: "32",
    REMOVED: "31",
}

Run = tuple[str, int]  # text and its style


class Palette(dict[int, str]):
    """SGR parameters by style; `base` (such as "2", dim) goes in front of each.

    Without colour every style is "", and no escape code is ever written.
    """

    def __init__(self, *, color: bool = True, base: str = "") -> None:
        super().__init__()
        self.color = color
        self.base = base

    def __missing__(self, style: int) -> str:
        codes = [self.base] if self.base else []
        codes += [code for bit, code in _CODES.items() if style & bit]
        found = self[style] = ";".join(dict.fromkeys(codes)) if self.color else ""
        return found

    def render(self, runs: Iterable[Run]) -> str:
        """Return `runs` as one string that starts and ends in the terminal's plain style."""
        out: list[str] = []
        now = ""
        for text, style in runs:
            if not text:
                continue
            codes = self[style]
            if codes != now:
                if now:
                    out.append("\x1b[0m")
                if codes:
                    out.append(f"\x1b[{codes}m")
                now = codes
            out.append(text)
        if now:
            out.append("\x1b[0m")
        return "".join(out)

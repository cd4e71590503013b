"""Markdown that comes in pieces, as rows for a terminal, at a cost that does not grow.

A row is given out once nothing that follows can change it; only what is still open (the last
line, a span without its end, the first rows of a table) is laid out anew each time it is shown.
Nothing here writes or knows of a cursor: `palaver.terminal.painter` does.
"""

from __future__ import annotations

from palaver.terminal.escape import Escaper
from palaver.terminal.markdown.blocks import Blocks
from palaver.terminal.style import Palette

_LONG = 160  # a line this long is taken in pieces, if it is of a paragraph
_LONGEST = 4000  # a line this long in any case


class MarkdownStream:
    """Renders text fed in any pieces; the rows do not depend on where it was cut.

    All text passes `palaver.terminal.escape`. Without `color` no escape code is in any row, and
    the markers of inline markup and headings stay. `base` are SGR parameters under everything,
    such as "2" for reasoning. `width` in cells is that of the rows; only a line of finished code
    may be longer, and is left to the terminal to wrap, so that it is copied whole, unless
    `chop_code` is set.
    """

    def __init__(
        self, width: int, *, color: bool = True, base: str = "", chop_code: bool = False
    ) -> None:
        self.width = max(1, width)
        self._escaper = Escaper()
        self._blocks = Blocks(self.width, Palette(color=color, base=base))
        self._blocks.rows.chop = chop_code
        self._line = ""  # the beginning of a line, not yet handed on
        self._begun = False  # the beginning of this line was handed on

    def feed(self, text: str) -> list[str]:
        """Take more text; return the rows, without newlines, that are finished by it."""
        return self._feed(self._escaper.feed(text))

    def finish(self) -> list[str]:
        """End the text; return the rows that are left. It can't be fed any more."""
        rows = self._feed(self._escaper.finish())
        self._end_line(self._blocks)
        self._blocks.close()
        return rows + self._take(self._blocks)

    def tail(self) -> list[str]:
        """Return rows that show what is not finished, as if the text ended here."""
        blocks = self._blocks.fork()
        blocks.rows.open = blocks.rows.chop = True
        if self._line or self._begun:
            self._end_line(blocks)
        blocks.close()
        return self._take(blocks)

    def resize(self, width: int) -> None:
        """Go on with another width; rows already given out stay as they are."""
        self.width = max(1, width)
        self._blocks.resize(self.width)

    def _feed(self, text: str) -> list[str]:
        start = 0
        while (end := text.find("\n", start)) >= 0:
            self._more(text[start:end])
            self._end_line(self._blocks)
            self._line, self._begun = "", False
            start = end + 1
        if start < len(text):
            self._more(text[start:])
        return self._take(self._blocks)

    def _more(self, text: str) -> None:
        """Take more of the current line: kept while short, handed on in pieces when long."""
        if self._begun:
            return self._blocks.more(text)
        was = len(self._line)
        self._line += text
        for limit, enough in ((_LONG, self._blocks.begin), (_LONGEST, self._blocks.force)):
            if was < limit <= len(self._line) and enough(self._line[:limit]) is not False:
                rest, self._line, self._begun = self._line[limit:], "", True
                return self._blocks.more(rest)
        return None

    def _end_line(self, blocks: Blocks) -> None:
        if self._begun:
            blocks.end()
        else:
            blocks.line(self._line)

    @staticmethod
    def _take(blocks: Blocks) -> list[str]:
        rows, blocks.rows.out = blocks.rows.out, []
        return rows

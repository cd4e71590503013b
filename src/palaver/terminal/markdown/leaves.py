"""The parts of a Markdown document under way: containers, paragraphs, code, and their rows."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from palaver.terminal import width as cells
from palaver.terminal.highlight import Highlighter
from palaver.terminal.markdown.inline import parse
from palaver.terminal.style import MARKER, QUOTE, Palette, Run
from palaver.terminal.wrap import Wrapper, chop


@dataclass(slots=True, eq=False)  # a quote in a quote is another one
class Container:
    """A block quote, or an item of a list; columns count from the quote around it."""

    quote: bool
    at: int = 0  # column of the item's marker
    content: int = 0  # column of what is in it
    marker: str = ""
    fresh: bool = False  # the marker is still to be written


class Paragraph:
    """Text that is wrapped; `once` for a heading, which ends with its line."""

    def __init__(self, wrapper: Wrapper, style: int = 0, *, once: bool = False) -> None:
        self.wrapper, self.style, self.once = wrapper, style, once
        self.pending = ""  # not certain yet
        self.before = "\n"  # the character before `pending`
        self.head: str | None = None  # a line that may be the head of a table
        self.seen = 0  # length of `pending` when last looked at
        self.begun = False

    def fork(self) -> Paragraph:
        """Return a copy that can go on by itself."""
        new = copy.copy(self)
        new.wrapper = self.wrapper.fork()
        return new

    def add_line(self, text: str) -> None:
        """Add a line of the paragraph."""
        self.release()
        self.pending += ("\n" if self.begun else "") + text
        self.begun = True

    def release(self) -> None:
        """Go on with the line that was held: it is no table's head."""
        if self.head is not None:
            line, self.head = self.head, None
            self.add_line(line)

    def flush(self, *, final: bool, guess: bool, markup: bool) -> list[list[Run]]:
        """Return the rows that are certain; with `final` all that there are."""
        text = self.pending
        if not markup:
            runs, known = [(text, 0)], len(text)
        else:
            runs, known = parse(text, self.before, final=final, guess=guess)
        for run, style in runs:
            self.wrapper.feed(run, style | self.style)
        if known:
            self.before, self.pending = text[known - 1], text[known:]
        self.seen = len(self.pending)
        if final:
            self.wrapper.finish()
        rows, self.wrapper.rows = self.wrapper.rows, []
        return rows


@dataclass(slots=True)
class Code:
    """A code block, fenced or (`fence` "") indented."""

    fence: str
    indent: int
    highlighter: Highlighter
    blanks: int = 0  # blank lines of indented code that may be its end
    raw: str | None = None  # the end of a very long line

    def fork(self) -> Code:
        """Return a copy that can go on by itself."""
        return replace(self, highlighter=copy.copy(self.highlighter))


class Rows:
    """Finished rows (`out`), and what stands left of them: the containers they are in."""

    def __init__(self, width: int, palette: Palette) -> None:
        self.out: list[str] = []
        self.width = width
        self.palette = palette
        self.markup = palette.color  # without colour the markers of inline markup stay
        self.containers: list[Container] = []
        self.blank: list[Container] | None = None  # a blank line is due, in these
        self.started = False
        self.chop = False  # rows of code are cut to the width
        self.open = False  # these rows show what is under way, and are written over

    def fork(self) -> Rows:
        """Return a copy that can go on by itself, with an empty `out`."""
        new = copy.copy(self)
        new.out = []
        new.containers = [replace(each) if each.fresh else each for each in self.containers]
        return new

    def prefix(self) -> tuple[list[Run], list[Run]]:
        """Return what stands left of the next row, and of the rows after it."""
        first: list[Run] = []
        rest: list[Run] = []
        for each in self.containers:
            if each.quote:
                bar = ("│ " if self.markup else "> ", QUOTE)
                first.append(bar)
                rest.append(bar)
                continue
            size = cells.most(each.marker) + 1
            rest.append((" " * size, 0))
            first.append((each.marker + " ", MARKER) if each.fresh else rest[-1])
            each.fresh = False
        while len(rest) > 1 and sum(len(text) for text, _ in rest) > self.width // 2:
            del first[0], rest[0]
        return first, rest

    def room(self) -> int:
        """Return how many cells a row has beside its prefix."""
        sizes = [2 if each.quote else cells.most(each.marker) + 1 for each in self.containers]
        while len(sizes) > 1 and sum(sizes) > self.width // 2:
            del sizes[0]
        return max(1, self.width - sum(sizes))

    def emit(self, runs: list[Run]) -> None:
        """Add a row, after the blank one that is due."""
        if self.blank is not None:
            if self.started:
                kept = sum(each.quote and each in self.blank for each in self.containers)
                bar = "│ " if self.markup else "> "
                self.out.append(self.palette.render([((bar * kept).rstrip(), QUOTE)]))
            self.blank = None
        self.started = True
        self.out.append(self.palette.render(runs))

    def code(self, runs: list[Run]) -> None:
        """Add a line of code: one row, whatever its length. The terminal wraps it, so that it can
        be copied whole; only rows that will be erased again have to be counted.
        """
        first, rest = self.prefix()
        if self.chop:
            for row in chop(runs, self.room()):
                self.emit([*first, *row])
                first = rest
        else:
            self.emit([*first, *runs])

"""Block structure of Markdown, a line at a time, as rows for a terminal.

CommonMark 0.31 with the tables and task lists of GFM, and where models write otherwise than that
says, what they mean: a newline in a paragraph is one; a list may be nested by two spaces; code in
a list may stand left of it. Blank lines stay as they are, several become one.
"""

from __future__ import annotations

import copy
import re

from palaver.terminal.highlight import Highlighter
from palaver.terminal.markdown import table as tables
from palaver.terminal.markdown.inline import parse
from palaver.terminal.markdown.leaves import Code, Container, Paragraph, Rows
from palaver.terminal.style import FENCE, HEADING, RULE, TITLE, Palette, Run
from palaver.terminal.wrap import Wrapper, chop

_DEEPEST = 24  # containers in containers; more are text
_STEP = 64  # characters of an open paragraph between two looks at what is certain

_ITEM = re.compile(r"([-+*]|\d{1,9}[.)])( +|\Z)")
_RULE = re.compile(r"(?:(?:- *+){3,}|(?:\* *+){3,}|(?:_ *+){3,})\Z")
_FENCE = re.compile(r"(?:(`{3,})([^`]*)|(~{3,})(.*))\Z")
_HEADING = re.compile(r"(#{1,6})(?: +|\Z)")
_CLOSING = re.compile(r"(?:^| +)#+ *\Z")
_UNDERLINE = re.compile(r"=+ *\Z")
_TASK = re.compile(r"\[([ xX])\] ")


class Blocks:
    """Takes lines (`line`, or `begin`, `more` and `end`), leaves finished rows in `rows.out`."""

    def __init__(self, width: int, palette: Palette) -> None:
        self.rows = Rows(width, palette)
        self.leaf: Paragraph | Code | tables.Table | None = None

    # -- lines ---------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Take a complete line, without its newline."""
        self._start(text.expandtabs(4) if "\t" in text else text)
        self.end()

    def begin(self, text: str) -> bool:
        """Take the beginning of a long line if its kind is certain; else return False."""
        if "\t" in text:
            text = text.expandtabs(4)
        if isinstance(self.leaf, Code | tables.Table) or "|" in text:
            return False
        trial = self.fork()
        trial._start(text)
        if not isinstance(trial.leaf, Paragraph):
            return False
        self._start(text)
        self.more(text[len(text.rstrip()) :])  # blanks at its end are not at the line's
        return True

    def force(self, text: str) -> None:
        """Take the beginning of a line that is too long to wait for its end."""
        leaf = self.leaf
        if isinstance(leaf, Code) and leaf.fence:
            leaf.raw = ""
            return self.more(text)
        self._leave(len(self.rows.containers))
        self.leaf = leaf = Paragraph(Wrapper(self.rows.width, *self.rows.prefix()))
        return leaf.add_line(text)

    def more(self, text: str) -> None:
        """Take more of a line that was begun."""
        leaf = self.leaf
        if "\t" in text:
            text = text.replace("\t", " ")
        if isinstance(leaf, Paragraph):
            leaf.pending += text
            # Looked at by steps, so that many small pieces cost no more than one large.
            if len(leaf.pending) - leaf.seen >= _STEP:
                self._flush(leaf)
        elif isinstance(leaf, Code) and leaf.raw is not None:
            prefix = self.rows.prefix()[1]
            pieces = chop([(leaf.raw + text, 0)], self.rows.room())
            for piece in pieces[:-1]:
                self.rows.emit([*prefix, *piece])
            leaf.raw = "".join(part for part, _ in pieces[-1])

    def end(self) -> None:
        """The line that was begun is complete."""
        leaf = self.leaf
        if isinstance(leaf, Paragraph):
            if leaf.once:
                self._close_leaf()
            elif leaf.head is None:
                self._flush(leaf)
        elif isinstance(leaf, Code) and leaf.raw is not None:
            text, leaf.raw = leaf.raw, None
            if text:
                self.rows.emit([*self.rows.prefix()[1], (text, 0)])

    def close(self) -> None:
        """Nothing follows."""
        self._leave(0)

    def fork(self) -> Blocks:
        """Return a copy that can go on by itself and has no rows yet."""
        new = copy.copy(self)
        new.rows = self.rows.fork()
        new.leaf = self.leaf.fork() if self.leaf else None
        return new

    def resize(self, width: int) -> None:
        """Go on with another width."""
        self.rows.width = width
        if isinstance(self.leaf, Paragraph):
            self.leaf.wrapper.resize(width)

    # -- containers ----------------------------------------------------------------------------

    def _match(self, text: str) -> tuple[int, int, int, int]:
        """Return the first column that is not blank, how many containers the line stands in,
        the column the innermost quote begins at and the one its innermost content begins at.
        """
        base = edge = matched = 0
        at, size = _skip(text, 0), len(text)
        for each in self.rows.containers:
            if each.quote:
                if at == size or text[at] != ">" or at - edge > 3:
                    break
                base = at + 2 if text[at + 1 : at + 2] == " " else at + 1
                edge, at = base, _skip(text, base)
            elif at < size:
                if at - base >= each.content:
                    edge = base + each.content
                elif at - base >= each.at + 2 and _ITEM.match(text, at):
                    edge = at
                else:
                    break
            matched += 1
        return at, matched, base, edge

    def _leave(self, keep: int) -> None:
        """Close the leaf and all containers but the first `keep`."""
        self._close_leaf()
        if any(each.fresh for each in self.rows.containers[keep:]):
            self.rows.emit(self.rows.prefix()[0])  # an empty item
        del self.rows.containers[keep:]

    # -- rows ----------------------------------------------------------------------------------

    def _flush(self, leaf: Paragraph, *, final: bool = False) -> None:
        rows = self.rows
        for row in leaf.flush(final=final, guess=rows.open and final, markup=rows.markup):
            rows.emit(row)

    def _close_leaf(self) -> None:
        leaf, self.leaf = self.leaf, None
        if isinstance(leaf, Paragraph):
            leaf.release()
            self._flush(leaf, final=True)
        elif isinstance(leaf, tables.Table):
            self._emit_table(leaf.settle(self.rows.room()))

    def _emit_table(self, rows: list[list[Run]]) -> None:
        if rows:
            first, rest = self.rows.prefix()
            for row in rows:
                self.rows.emit([*first, *row])
                first = rest

    # -- blocks --------------------------------------------------------------------------------

    def _start(self, text: str) -> None:
        at, matched, base, edge = self._match(text)
        leaf = self.leaf
        fenced = isinstance(leaf, Code) and leaf.fence
        if fenced and not any(each.quote for each in self.rows.containers[matched:]):
            return self._fenced(text, base, at)
        if at == len(text):
            return self._blank(matched)
        lazy = matched < len(self.rows.containers)
        if not lazy and isinstance(leaf, Code) and at - edge >= 4:
            self.rows.blank = None
            while leaf.blanks:
                self.rows.code([])
                leaf.blanks -= 1
            return self.rows.code([(text[edge + 4 :].rstrip(), 0)])
        paragraph = isinstance(leaf, Paragraph)
        while not (at - edge >= 4 and not paragraph) and len(self.rows.containers) < _DEEPEST:
            opened = self._open(text, at, matched, base, paragraph and not lazy)
            if opened is None:
                break
            at, base, edge = opened
            lazy = paragraph = False
            matched = len(self.rows.containers)
            if at == len(text):
                return None
        return self._open_leaf(text, at, matched, edge, lazy)

    def _open(
        self, text: str, at: int, matched: int, base: int, inside: bool
    ) -> tuple[int, int, int] | None:
        """Open the container that begins at `at`; return where its content is, or None."""
        if text[at] == ">":
            self._leave(matched)
            self.rows.containers.append(Container(quote=True))
            base = at + 2 if text[at + 1 : at + 2] == " " else at + 1
            return _skip(text, base), base, base
        item = _ITEM.match(text, at)
        if not item or _RULE.match(text, at):
            return None
        marker, after = item[1], item.end()
        if inside and (after == len(text) or not (marker in "-+*" or marker[:-1] == "1")):
            return None  # it would break a paragraph in two: a year, a sum at a line's begin
        self._leave(matched)
        if len(item[2]) > 4 or after == len(text):
            after = item.end(1) + 1
        task = _TASK.match(text, after)
        if self.rows.markup:
            depth = sum(not each.quote for each in self.rows.containers)
            if task:
                marker = "☐" if task[1] == " " else "☑"
                after = task.end()
            elif marker in "-+*":
                marker = "•◦▪"[min(depth, 2)]
        content = (item.end(1) + 1 if task or len(item[2]) > 4 else after) - base
        self.rows.containers.append(
            Container(False, at=at - base, content=content, marker=marker, fresh=True)
        )
        return min(_skip(text, after), len(text)), base, after

    def _open_leaf(self, text: str, at: int, matched: int, edge: int, lazy: bool) -> None:
        rest, leaf = text[at:].rstrip(), self.leaf
        if isinstance(leaf, Paragraph):
            if self._continues(leaf, rest, lazy):
                return None
        elif isinstance(leaf, tables.Table) and not lazy and "|" in rest:
            return self._row(leaf, rest)
        self._leave(matched)
        if at - edge >= 4:
            self.leaf = Code("", 0, Highlighter(""))
            return self.rows.code([(text[edge + 4 :].rstrip(), 0)])
        if match := _FENCE.match(rest):
            fence, info = match[1] or match[3], (match[2] or match[4] or "").strip()
            name = re.split(r"[\s,{}:=]", info.lstrip("{."), maxsplit=1)[0] if info else ""
            self.leaf = Code(fence, at, Highlighter(name))
            return self.rows.code([(rest, FENCE)])
        if match := _HEADING.match(rest):
            style = TITLE if len(match[1]) == 1 else HEADING
            if self.rows.markup:
                rest = _CLOSING.sub("", rest[match.end() :])
            first, after = self.rows.prefix()
            self.leaf = Paragraph(Wrapper(self.rows.width, first, after), style, once=True)
            return self.leaf.add_line(rest)
        if _RULE.match(rest):
            first, after = self.rows.prefix()
            width = min(self.rows.room(), 80)
            return self.rows.emit([*first, ("─" * width, RULE) if self.rows.markup else (rest, 0)])
        return self._paragraph(rest)

    def _paragraph(self, text: str) -> None:
        leaf = Paragraph(Wrapper(self.rows.width, *self.rows.prefix()))
        self.leaf = leaf
        if "|" in text:
            leaf.head = text
        else:
            leaf.add_line(text)

    def _continues(self, leaf: Paragraph, rest: str, lazy: bool) -> bool:
        """Take a line into a paragraph, or the table that it began; False if it ends it."""
        if not lazy and leaf.head is not None:
            aligns = tables.alignments(rest)
            head = tables.split_row(leaf.head)
            if aligns and len(aligns) == len(head):
                leaf.head = None
                if leaf.begun:
                    self._close_leaf()
                self.leaf = tables.Table([self._cell(cell) for cell in head], aligns)
                return True
        if _FENCE.match(rest) or _HEADING.match(rest) or _RULE.match(rest):
            return False
        if not lazy and self.rows.markup and _UNDERLINE.match(rest):
            self._close_leaf()
            first, _ = self.rows.prefix()
            self.rows.emit([*first, ("═" * min(self.rows.room(), 80), RULE)])
            return True
        leaf.release()
        if "|" in rest:
            leaf.head = rest
        else:
            leaf.add_line(rest)
        return True

    def _cell(self, text: str) -> list[Run]:
        if not self.rows.markup:
            return [(text, 0)]
        return parse(text, final=True, guess=False)[0]

    def _row(self, table: tables.Table, text: str) -> None:
        row, size = tables.split_row(text), len(table.head)
        if len(row) > size:  # nothing is dropped
            row[size - 1 :] = [" | ".join(row[size - 1 :])]
        row += [""] * (size - len(row))
        found = table.add([self._cell(cell) for cell in row], self.rows.room())
        self._emit_table(found)

    def _fenced(self, text: str, base: int, at: int) -> None:
        leaf = self.leaf
        assert isinstance(leaf, Code)
        rest = text[at:].rstrip()
        closes = rest.startswith(leaf.fence) and not rest.strip(leaf.fence[0])
        if closes and at <= leaf.indent + 3:
            self.rows.code([(rest, FENCE)])
            self.leaf = None
            return None
        code = text[max(base, min(leaf.indent, at)) :] if at < len(text) else text[leaf.indent :]
        return self.rows.code(leaf.highlighter.line(code))

    def _blank(self, matched: int) -> None:
        leaf = self.leaf
        if isinstance(leaf, Code):
            leaf.blanks += 1
        else:
            self._close_leaf()
        for at, each in enumerate(self.rows.containers):
            if each.quote and at >= matched:
                self._leave(at)
                break
        self.rows.blank = list(self.rows.containers)


def _skip(text: str, at: int) -> int:
    """Return the first place from `at` on that is no blank."""
    size = len(text)
    while at < size and text[at] == " ":
        at += 1
    return min(at, size)

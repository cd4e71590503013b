"""Markdown that comes in pieces: the same rows, the same screen, wherever it was cut."""

from __future__ import annotations

import re
from pathlib import Path

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.terminal.screens import History, rows

from palaver.terminal import width as cells
from palaver.terminal.markdown.inline import LIMIT, parse
from palaver.terminal.markdown.stream import MarkdownStream
from palaver.terminal.painter import Painter

SAMPLE = (Path(__file__).parent / "sample.md").read_text("utf-8")
_SGR = re.compile(r"\x1b\[[0-9;]*m")


def render(text: str, width: int, **options) -> list[str]:
    stream = MarkdownStream(width, **options)
    return stream.feed(text) + stream.finish()


def plain(text: str, width: int = 80, **options) -> list[str]:
    return [_SGR.sub("", row) for row in render(text, width, **options)]


def pieces(text: str, cuts: list[int]) -> list[str]:
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


# Text that is mostly Markdown, and mostly wrong.
WORD = st.sampled_from(
    [
        *("a", "word", "**", "*", "_", "`", "``", "~~", "[", "](", ")", "](u)", "![", "<b>"),
        *("<br>", "\\", "&amp;", "&#27;", "https://x.y/z", "日本", "😀", "e\u0301", "👩\u200d🚀"),
        *("1", "|", " ", " ", " ", "  ", "\t", "!", "h", "<", "&", "(", "snake_case", "x" * 30),
        *("\x1b[31m", "\u202e"),
    ]
)
START = st.sampled_from(
    [
        *("", "", "", "# ", "## ", "- ", "* ", "1. ", "  - ", "    ", "> ", "> > ", "```", "```py"),
        *("~~~", "---", "===", "| a | b |", "|---|:-:|", "| - |", "   ", "- [ ] ", "- - "),
        *("10. ", "     - "),
    ]
)
LINE = st.builds(lambda start, words: start + "".join(words), START, st.lists(WORD, max_size=12))
DOCUMENT = st.lists(LINE, max_size=14).map("\n".join)


@pytest.mark.parametrize("width", [1, 2, 5, 20, 37, 80, 200])
@pytest.mark.parametrize("color", [True, False])
def test_each_character_alone(width, color):
    stream = MarkdownStream(width, color=color)
    found = []
    for char in SAMPLE:
        found += stream.feed(char)
        stream.tail()
    assert found + stream.finish() == render(SAMPLE, width, color=color)


@given(DOCUMENT, st.sampled_from([1, 3, 20, 80]), st.booleans(), st.data())
@settings(max_examples=400, deadline=None)
def test_cut_anywhere(text, width, color, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=40)))
    stream = MarkdownStream(width, color=color)
    found = []
    for piece in pieces(text, cuts):
        found += stream.feed(piece)
        stream.tail()
    assert found + stream.finish() == render(text, width, color=color)


@given(
    st.lists(WORD, min_size=50, max_size=400).map("".join),
    st.sampled_from(["", "> ", "- ", "# ", "| a | b |\n|---|---|\n| ", "```\n", "    "]),
    st.integers(1, 700),
    st.integers(1, 8),
)
@settings(max_examples=40, deadline=None)
def test_long_lines_cut_anywhere(text, start, step, times):
    text = start + text * times
    stream = MarkdownStream(60)
    found = []
    for at in range(0, len(text), step):
        found += stream.feed(text[at : at + step])
    assert found + stream.finish() == render(text, 60)


@given(st.lists(WORD, max_size=60).map("".join), st.data())
@settings(max_examples=400, deadline=None)
def test_what_is_certain_does_not_change(text, data):
    """Runs given before the end are those that the whole text has there."""
    cut = data.draw(st.integers(0, len(text)))

    def styled(runs):
        return [(char, style) for run, style in runs for char in run]

    runs, known = parse(text[:cut], final=False)
    rest, end = parse(text[known:], text[known - 1 : known] or "\n")
    assert known <= cut
    assert end == len(text) - known
    assert styled(runs) + styled(rest) == styled(parse(text)[0])


@given(DOCUMENT, st.sampled_from([8, 9, 20, 80]))
@example("*https://x.y/z(日本", 8)
@settings(max_examples=300, deadline=None)
def test_rows_fit(text, width):
    for row in plain(text, width, chop_code=True):
        assert cells.most(row) <= width
    stream = MarkdownStream(width)
    stream.feed(text)
    for row in stream.tail():
        assert cells.most(_SGR.sub("", row)) <= width


@given(DOCUMENT | st.text())
@settings(max_examples=300, deadline=None)
def test_only_our_escapes(text):
    """Nothing but SGR, switched off at the end of each row; without colour, nothing at all."""
    for row in render(text, 40):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", _SGR.sub("", row))
        codes = _SGR.findall(row)
        assert not codes or codes[-1] == "\x1b[0m"
    for row in render(text, 40, color=False):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", row)


@given(DOCUMENT)
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost(text):
    """Every letter and digit of the text is on the screen, in its order."""
    text = re.sub(r"<br>|&|\||\t|\[|\\", "", text)
    shown = "".join(re.findall(r"\w", "".join(plain(text, 60)).replace("\\x1b", "")))
    wanted = "".join(re.findall(r"\w", text))
    position = 0
    for char in wanted.replace("_", ""):
        position = shown.find(char, position) + 1
        assert position, (char, text)


def words_of(tokens, out):
    for token in tokens:
        if token.type in (
            "fence",
            "code_block",
            "text",
            "code_inline",
            "html_block",
            "html_inline",
        ):
            out.append(token.content if token.content != "<br>" else " ")
        elif token.children:
            words_of(token.children, out)
            out.append(" ")
        elif token.type in ("softbreak", "hardbreak"):
            out.append(" ")
    return out


@pytest.mark.parametrize("width", [20, 80, 200])
def test_same_words_as_markdown_it(width):
    """The text that markdown-it finds, without its spaces, is on our rows in the same order."""
    sample = re.sub(r"\[[x ]\] ", "", SAMPLE)
    if width == 20:  # where a table becomes a list, the names of its columns are repeated
        sample = re.sub(r"(?m)^\|.*\n", "", sample)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(sample)
    shown = re.sub(r"\W", "", "".join(plain(sample, width)))
    position = 0
    for word in re.findall(r"\w+", "".join(words_of(tokens, []))):
        found = shown.find(word, position)
        assert found >= 0, word
        position = found + len(word)


class Terminal:
    """A pyte screen that a painter writes to."""

    def __init__(self, columns: int, lines: int) -> None:
        self.screen = History(columns, lines, history=5000)
        self.stream = pyte.Stream(self.screen)
        self.painter = Painter(self.stream.feed, lambda: (self.screen.columns, self.screen.lines))


@pytest.mark.parametrize(("columns", "lines"), [(20, 6), (20, 40), (80, 10), (200, 50)])
@pytest.mark.parametrize("step", [1, 7, 300])
def test_screen_is_that_of_the_whole(columns, lines, step):
    terminal = Terminal(columns, lines)
    stream = MarkdownStream(columns)
    for at in range(0, len(SAMPLE), step):
        terminal.painter.update(stream.feed(SAMPLE[at : at + step]), stream.tail())
    terminal.painter.update(stream.finish(), ())
    whole = Terminal(columns, lines)
    whole.painter.update(render(SAMPLE, columns), ())
    assert rows(terminal.screen) == rows(whole.screen)
    assert terminal.screen.cursor.x == 0
    if columns > 20:  # there, code is wider than the screen
        assert rows(terminal.screen) == [row.rstrip() for row in plain(SAMPLE, columns)]


@given(DOCUMENT, st.integers(1, 30), st.sampled_from([(20, 5), (80, 24)]))
@settings(max_examples=60, deadline=None)
def test_screen_of_any_document(text, step, size):
    terminal = Terminal(*size)
    stream = MarkdownStream(size[0])
    for at in range(0, len(text), step):
        terminal.painter.update(stream.feed(text[at : at + step]), stream.tail())
    terminal.painter.update(stream.finish(), ())
    whole = Terminal(*size)
    whole.painter.update(render(text, size[0]), ())
    assert rows(terminal.screen) == rows(whole.screen)


@pytest.mark.parametrize(("finished", "tail"), [([], ["one"]), (["one"], []), ([], [])])
def test_rows_that_are_taken_back_leave_none(finished, tail):
    terminal = Terminal(20, 5)
    for shown in (["one"], ["one", "<"], ["one", "<b", ">"]):
        terminal.painter.update([], shown)
    terminal.painter.update(finished, tail)
    terminal.painter.update([*tail, "two"], [])
    assert rows(terminal.screen) == [*finished, *tail, "two"]


@pytest.mark.parametrize("seed", range(4))
def test_resize_keeps_what_is_finished(seed):
    """Rows once finished stay in order and whole, whatever widths the terminal goes through."""
    widths = [80, 33, 120, 21, 60]
    terminal = Terminal(80, 12)
    stream = MarkdownStream(80)
    finished = []
    text = "".join(
        f"Paragraph {i} has **bold** words and `code{i}` in it. " * 3 + "\n\n" for i in range(30)
    )
    for count, at in enumerate(range(0, len(text), 9 + seed)):
        if count % 50 == 49:
            columns = widths[(count // 50 + seed) % len(widths)]
            # Growing only: pyte cuts a row off where a terminal would reflow or keep it.
            terminal.screen.resize(12, max(columns, terminal.screen.columns))
            stream.resize(terminal.screen.columns)
        new = stream.feed(text[at : at + 9 + seed])
        finished += new
        terminal.painter.update(new, stream.tail())
    new = stream.finish()
    terminal.painter.update(new, ())
    assert rows(terminal.screen) == [_SGR.sub("", row).rstrip() for row in finished + new]


def test_a_span_has_an_end():
    """A marker without a partner holds back LIMIT characters, one of each kind three times that."""
    for opener in ("**", "`", "[", "~~", "[a](", "https://", "<", "_"):
        stream = MarkdownStream(80)
        text = f"{opener}word " + "word " * (LIMIT // 4)
        finished = stream.feed(text)
        assert len(finished) >= len(text) // 80 - LIMIT // 80 - 3
        assert sum(map(len, stream.tail())) < LIMIT + 400
    stream = MarkdownStream(80)
    finished = stream.feed("**word " * 100 + "[word " * 100 + "`word " * 2000)
    assert sum(map(len, stream.tail())) < 3 * LIMIT + 400

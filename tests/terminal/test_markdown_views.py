"""What shows an answer: the painter, and Markdown and folded views on it."""

from __future__ import annotations

import pyte
import pytest
from tests.terminal.screens import History, rows

from palaver.terminal.answer import DIM, FoldedView, MarkdownView
from palaver.terminal.painter import Painter


class Terminal:
    """A pyte screen, a painter on it, and all writes."""

    def __init__(self, columns: int = 40, lines: int = 10, **options) -> None:
        self.screen = History(columns, lines, history=1000)
        self.stream = pyte.Stream(self.screen)
        self.writes: list[str] = []
        self.painter = Painter(self.write, self.size, **options)

    def write(self, text: str) -> None:
        self.writes.append(text)
        self.stream.feed(text)

    def size(self) -> tuple[int, int]:
        return self.screen.columns, self.screen.lines


def test_text_that_grows_is_only_added():
    terminal = Terminal()
    for tail in ("one", "one two", "one two"):
        terminal.painter.update([], [tail])
    terminal.painter.update(["one two"], ["three"])
    terminal.painter.update(["three"], [])
    assert terminal.writes == ["one", " two", "\r\nthree", "\r\n"]
    assert rows(terminal.screen) == ["one two", "three"]


def test_what_changed_is_written_over():
    terminal = Terminal()
    terminal.write("before\r\n")
    terminal.painter.update([], ["a", "b", "c"])
    terminal.painter.update(["a"], ["B"])
    assert terminal.writes[-1] == "\x1b[?2026h\r\x1b[2K\x1b[A\x1b[2KB\x1b[?2026l"
    assert rows(terminal.screen) == ["before", "a", "B"]
    terminal.painter.update([], [])
    assert rows(terminal.screen) == ["before", "a"]
    assert (terminal.screen.cursor.x, terminal.screen.cursor.y) == (0, 2)


def test_full_rows_and_tails_higher_than_the_screen():
    terminal = Terminal(5, 4)
    for count in range(1, 12):
        terminal.painter.update([], [f"{i:05}" for i in range(count)])
        assert rows(terminal.screen) == [f"{i:05}" for i in range(count)][-3:]
    terminal.painter.update([f"{i:05}" for i in range(11)], [])
    assert rows(terminal.screen) == [f"{i:05}" for i in range(11)]


def test_suspend_leaves_room_for_others():
    terminal = Terminal()
    view = MarkdownView(terminal.painter.update, terminal.size)
    view.feed("first line\n\nsecond **bold")
    view.paint()
    assert rows(terminal.screen) == ["first line", "", "second bold"]
    view.suspend()
    terminal.write("[notice]\r\n")
    view.feed("** end")
    view.paint()
    view.finish()
    assert rows(terminal.screen) == ["first line", "[notice]", "", "second bold end"]


@pytest.mark.parametrize(("columns", "up"), [(40, 1), (10, 5), (30, 2)])
def test_rows_of_a_terminal_that_reflows(columns, up):
    """30 and 20 cells take 3 + 2 rows of 10; the cursor is on the last of them."""
    size = [40]
    writes: list[str] = []
    painter = Painter(writes.append, lambda: (size[0], 20), reflows=True)
    painter.update([], ["x" * 30, "y" * 20, "z"])
    size[0] = columns
    painter.update([], ["x" * 30, "changed"])
    assert writes[-1].count("\x1b[A") == up


def test_narrower_without_reflow_keeps_finished_rows():
    terminal = Terminal(40, 12)
    terminal.painter.update(["done 1", "done 2"], ["open " * 7, "still open"])
    terminal.screen.resize(12, 20)  # pyte cuts rows off, as xterm does
    terminal.painter.update([], ["open open", "still open"])
    assert rows(terminal.screen) == ["done 1", "done 2", "open open", "still open"]


def test_resize_lays_the_open_paragraph_out_anew():
    terminal = Terminal(40, 12)
    view = MarkdownView(terminal.painter.update, terminal.size)
    view.feed("finished\n\n**one two three four five six")
    view.paint()
    terminal.screen.resize(12, 14)
    view.paint()
    assert rows(terminal.screen) == ["finished", "", "one two three", "four five six"]
    view.finish()
    assert rows(terminal.screen)[2:] == ["**one two", "three four", "five six"]


def test_folded_reasoning():
    now = [0.0]
    terminal = Terminal(40, 10)
    terminal.write("> question\r\n")
    view = FoldedView(terminal.painter.update, terminal.size, clock=lambda: now[0])
    for count in range(40):
        view.feed(f"thought {count}\n" if count % 2 else "```\n" + "x" * 50 + "\n```\n")
        view.paint()
        found = rows(terminal.screen)
        assert found[0] == "> question"
        assert len(found) <= 1 + FoldedView.ROWS
    now[0] = 3.21
    view.suspend()
    assert rows(terminal.screen) == ["> question"]
    view.paint()
    view.finish(tokens=120)
    assert rows(terminal.screen) == ["> question", "thought for 3.2 s, ~120 tokens"]
    assert terminal.writes[-1].count(f"\x1b[{DIM}m") == 1


def test_dim_is_under_everything():
    terminal = Terminal()
    view = MarkdownView(terminal.painter.update, terminal.size, base=DIM)
    view.feed("a **b** `c`")
    view.finish()
    assert terminal.writes == [
        "\x1b[2ma \x1b[0m\x1b[2;1mb\x1b[0m\x1b[2m \x1b[0m\x1b[2;36mc\x1b[0m\r\n"
    ]

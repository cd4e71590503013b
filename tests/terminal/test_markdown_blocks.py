"""Blocks of Markdown as rows: what stands where, at which width."""

from __future__ import annotations

import re

import pytest

from palaver.terminal import width as cells
from palaver.terminal.highlight import Highlighter
from palaver.terminal.markdown.stream import MarkdownStream
from palaver.terminal.markdown.table import alignments, fit, split_row
from palaver.terminal.style import COMMENT, KEYWORD, NAME, NUMBER, STRING
from palaver.terminal.wrap import Wrapper

_SGR = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str, width: int = 30, **options) -> str:
    stream = MarkdownStream(width, **options)
    return _SGR.sub("", "\n".join(stream.feed(text) + stream.finish()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\n\n\nb\n\n", "a\n\nb"),
        ("\n\na", "a"),
        ("a\nb", "a\nb"),
        ("# A *b* #\ntext", "A b\ntext"),
        ("####### a\n#b", "####### a\n#b"),
        ("- a\n- b\n  - c\n    more\n", "• a\n• b\n  ◦ c\n    more"),
        ("1. a\n  - b\n  - c\n2. d", "1. a\n   ◦ b\n   ◦ c\n2. d"),
        ("1) a\n\n   b\n\nc", "1) a\n\n   b\n\nc"),
        ("- a\nlazy", "• a\n  lazy"),
        ("-\n- a", "•\n• a"),
        ("- - a", "• ◦ a"),
        ("- [ ] a\n- [X] b", "☐ a\n☑ b"),
        ("in\n1986. a year\n- but this", "in\n1986. a year\n• but this"),
        ("> a\n>\n> > b", "│ a\n│\n│ │ b"),
        ("> a\n> > b\nc\n\nd", "│ a\n│ │ b\n│ │ c\n\nd"),
        ("> a\n>\n> b", "│ a\n│\n│ b"),
        ("> - a\n>   b", "│ • a\n│   b"),
        ("a\n---\n***\n", f"a\n{'─' * 30}\n{'─' * 30}"),
        ("a\n===", f"a\n{'═' * 30}"),
        ("```py\nx = 1\n\n\n  y\n```\nz", "```py\nx = 1\n\n\n  y\n```\nz"),
        ("~~~\n```\n~~~", "~~~\n```\n~~~"),
        ("````\n```\n````", "````\n```\n````"),
        ("```\nopen", "```\nopen"),
        ("- a\n  ```\n  b\n  ```\n- c", "• a\n  ```\n  b\n  ```\n• c"),
        ("1. a\n   ```\nleft\n   ```\nb", "1. a\n   ```\n   left\n   ```\nb"),
        ("> ```\n> a\nb", "│ ```\n│ a\nb"),
        ("    a\n\n    b\nc", "a\n\nb\nc"),
        ("a\tb\n\n- x\ty", "a   b\n\n• x y"),
        ("<b>a</b>\n<!-- c -->", "<b>a</b>\n<!-- c -->"),
        ("[a]: http://u\n[^1]: note", "[a]: http://u\n[^1]: note"),
        ("a|b\n-|-\n1|2", "a │ b\n──┼──\n1 │ 2"),
        ("text:\n|a|b|\n|-|-:|\n|1|22|", "text:\na │  b\n──┼───\n1 │ 22"),
        ("|a|b|\n|-|-|\n|1|2|3|\n|4|\nend", "a │ b\n──┼──────\n1 │ 2 | 3\n4 │\nend"),
        ("|a|\n|-|", "a\n─"),
        ("a | b\nc", "a | b\nc"),
        ("|a|b|\n|-|", "|a|b|\n|-|"),
    ],
)
def test_rows(text, shown):
    found = "\n".join(row.rstrip() for row in plain(text).split("\n"))
    assert re.sub(r"[─]+", "─", found) == re.sub(r"[─]+", "─", shown)


def test_without_colour_the_markers_stay():
    text = "# A\n**b** `c` [d](e)\n- f\n> g\n- [x] h\n```py\nif x:\n```\n---"
    assert plain(text, color=False) == text


def test_wide_tables():
    rows = [f"| row {i} | {'word ' * i}| {'x' * 3 * i} |" for i in range(1, 8)]
    text = "\n".join(["| name | words | long |", "|---|---|---|", *rows])
    for width in (26, 40, 80, 200):
        lines = plain(text, width).split("\n")
        assert all(cells.most(line) <= width for line in lines)
        columns = {line.index("│") for line in lines if "│" in line}
        assert len(columns) == 1
    narrow = plain(text, 16).split("\n")
    assert narrow[:3] == ["name: row 1", "words: word", "long: xxx"]


def test_a_long_table_is_not_held_back():
    stream = MarkdownStream(40)
    rows = stream.feed("| a | b |\n|---|---|\n")
    for count in range(100):
        rows += stream.feed(f"| {count} | {'word ' * (count % 9)} |\n")
        assert len(stream.tail()) <= 40
    assert len(rows) >= 100
    plain_rows = [_SGR.sub("", row) for row in rows]
    assert len({row.index("│") for row in plain_rows if "│" in row}) == 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        *[
            ("|---|", ["<"]),
            ("--|:-:", ["<", "^"]),
            (":-|-:|", ["<", ">"]),
            ("| - | - |", ["<", "<"]),
        ],
        *[("---", None), ("|", None), ("| a |", None), ("|--|-a|", None), ("", None)],
    ],
)
def test_delimiter_rows(line, found):
    assert alignments(line) == found


def test_cells():
    assert split_row(r"| a | b\|c | |") == ["a", "b|c", ""]
    assert split_row("a|b") == ["a", "b"]
    assert fit([5, 50, 7], 40) == [5, 22, 7]
    assert fit([50, 50, 50], 20) is None
    assert fit([30, 3], 20) == [14, 3]


@pytest.mark.parametrize("width", range(1, 30))
def test_wrap(width):
    text = "one two  three, 日本語のテキスト。「括弧」 a-very-long-word 👩‍🚀👍🏽 🇩🇪🇫🇷 e\u0301nd"
    wrapper = Wrapper(width)
    for char in text:
        wrapper.feed(char)
    wrapper.finish()
    rows = ["".join(run for run, _ in row) for row in wrapper.rows]
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
    if width >= 4:
        assert all(cells.most(row) <= width for row in rows)
        for glyph in ("👩‍🚀", "👍🏽", "🇩🇪", "e\u0301"):
            assert any(glyph in row for row in rows)
    if width >= 12:
        assert not any(row[0] in "。」、," for row in rows)


def test_highlighting_goes_on_over_lines():
    python = Highlighter("python")
    assert python.line('def f(x): # "no"') == [
        *[("def", KEYWORD), (" ", 0), ("f", NAME), ("(", 0), ("x", 0), ("): ", 0)],
        ('# "no"', COMMENT),
    ]
    assert python.line('s = """one')[-1] == ("one", STRING)
    assert python.line("two # not a comment") == [("two # not a comment", STRING)]
    assert python.line('three""" + 12') == [('three"""', STRING), (" + ", 0), ("12", NUMBER)]
    c = Highlighter("C")
    assert c.line("/* a") == [("/*", COMMENT), (" a", COMMENT)]
    assert c.line("b */ int") == [("b */", COMMENT), (" ", 0), ("int", KEYWORD)]


@pytest.mark.parametrize("name", ["python", "c", "js", "bash", "yaml", "html", "sql", "diff", "?"])
def test_highlighting_changes_no_text(name):
    line = "a 'b' \"c\\\" /* d */ <e f='g'> # h -- i // j `k` 0x1F 1.5 don't ${x#y} \"open"
    highlighter = Highlighter(name)
    for text in (line, line[::-1], "", line * 3):
        assert "".join(run for run, _ in highlighter.line(text)) == text


@pytest.mark.parametrize("blank", [" ", "\u3000", "\xa0"])
def test_a_long_line_keeps_the_blank_at_which_it_is_cut(blank):
    text = "x" * 158 + "\u3000" + blank + "y" * 100
    assert plain(text, 300) == text

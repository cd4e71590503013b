"""What the README shows of tools, played again: the shipped model, a folder that is empty."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.support.sandbox import available
from tests.support.terminal import Terminal

README = Path(__file__).parents[2] / "README.md"
COMMAND = re.compile(r"/palaver (--tools .*)$", re.MULTILINE)
SETTLED = ("[call] ", "[result] ", "  | ")  # rows that stand there word by word


def transcript() -> tuple[list[str], list[str]]:
    """Return the arguments that the README gives palaver, and the rows that it shows then."""
    text = README.read_text(encoding="utf-8").split("\n## Tools\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return COMMAND.findall(blocks[0])[0].split(), blocks[1].splitlines()


def play(terminal: Terminal, said: list[str]) -> None:
    """Say each line when the one before was answered, or asks whether a call may run."""

    def steps() -> tuple[int, int]:
        text = terminal.text()
        return len(re.findall(r"\d+ reused, \d+ read", text)), text.count("may it run?")

    terminal.ready()
    for line in said:
        before = steps()
        terminal.line(line)
        terminal.wait(lambda before=before: steps() != before)


def test_the_sentences_of_the_readme_compute_write_and_list(tmp_path, monkeypatch):
    available("auto")
    folder = tmp_path / "demo"
    folder.mkdir()
    monkeypatch.chdir(folder)
    args, rows = transcript()
    said = [row.removeprefix("you> ") for row in rows if row.startswith("you> ")]
    command = [sys.executable, "-m", "palaver.cli.main", "--threads", "1", *args]
    with Terminal(tmp_path, command=command, columns=120, lines=40) as terminal:
        play(terminal, said)
        shown = terminal.rows()
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert "  408" in shown
    assert [path.name for path in folder.iterdir()] == ["hello.txt"]
    assert (folder / "hello.txt").read_text() == "hello"
    at = shown.index("[result] list_files: 1 line")
    assert shown[at + 1] == "  hello.txt"
    rest = iter(shown)
    for row in rows:
        if row.startswith(SETTLED):
            assert row in rest, f"the README shows {row!r}, the screen does not"

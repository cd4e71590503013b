"""/undo and /redo with files, on the real program: also after it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.terminal import Terminal, shipped

WRITE = "write 'hello' to greeting.txt"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def chat(home: Path, *args: str) -> Terminal:
    given = ("--tools", "shell,write_file", "--consent", "auto", *args)
    return shipped(home, *given, columns=100)


def files(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.iterdir()}


def say(terminal: Terminal, line: str, times: int) -> None:
    """Say something and wait for the turn's last answer, the `times`th one with a tool."""
    terminal.line(line)
    terminal.answered(times)


def test_undo_and_redo_move_files_also_after_a_kill(tmp_path, place):
    with chat(tmp_path) as terminal:
        terminal.ready()
        say(terminal, WRITE, 1)
        made = files(place)
        assert len(made) == 1
        (name,) = made
        terminal.child.kill(9)
        terminal.child.wait()
    with chat(tmp_path, "--resume", "last") as terminal:
        terminal.ready()
        terminal.line("/undo")
        terminal.wait(f"{name}: removed")
        terminal.wait("1 turn undone")
        assert files(place) == {}
        terminal.line("/redo")
        terminal.wait(f"{name}: changed again")
        terminal.wait("back again")
        assert files(place) == made
        (place / name).write_text("the user's")
        terminal.line("/undo")
        terminal.wait(f"{name}: not restored, it was changed since")
        assert files(place) == {name: "the user's"}
        terminal.leave()


def test_what_a_command_changed_is_listed_and_not_undone(tmp_path, place):
    with chat(tmp_path) as terminal:
        terminal.ready()
        terminal.line("run the command sleep 3")
        terminal.wait("running shell")
        (place / "made").write_text("x\n")  # seen as the command's: that is all that is known
        terminal.wait("reused,")
        terminal.ready()
        assert "changed made (/undo leaves that)" in terminal.text()
        terminal.line("/undo")
        terminal.wait("not undone: shell changed made")
        terminal.wait("1 turn undone")
        assert files(place) == {"made": "x\n"}
        terminal.leave()

"""A function of the user's, and hooks, in a full terminal with the shipped model."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.stored import results
from tests.support.terminal import shipped

MINE = '''
import time
from palaver import tool

@tool
def list_files(path: str = ".") -> str:
    """List files."""
    print("looking \\x1b[31m around")
    time.sleep(0.3)
    return "tulips.txt\\nroses.txt"
'''


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "mine.py").write_text(MINE)
    monkeypatch.chdir(folder)
    return folder


def test_a_function_is_asked_about_and_what_it_prints_is_escaped(tmp_path, place):
    with shipped(tmp_path, "--tools", "mine.py", columns=100) as terminal:
        terminal.ready()
        terminal.line("list the files")
        terminal.wait("list_files: may it run?")
        assert "  | list_files()" in terminal.rows()
        terminal.line("s")
        terminal.wait(r"looking \x1b[31m around")
        terminal.answered()
        assert "tulips.txt" in terminal.text()
        terminal.line("/tools")
        terminal.wait("off: python, shell")
        assert "list_files(path)" in terminal.rows()
        terminal.send("\x04")
        assert terminal.ended() == 0


def test_a_hook_is_named_where_the_user_is_asked(tmp_path, place):
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    rewrite = """echo '{\\"arguments\\": {\\"path\\": \\"garden\\"}}'"""
    config.write_text(f'[hooks]\nbefore = ["{rewrite}"]\nafter = ["cat > seen.json"]\n')
    with shipped(tmp_path, "--tools", "mine.py", columns=100) as terminal:
        terminal.ready()
        terminal.line("list the files")
        terminal.wait("list_files: may it run?")
        assert "  | list_files(path='garden')" in terminal.rows()
        assert "  ! a hook changed the arguments" in terminal.rows()
        terminal.line("y")
        terminal.answered()
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert "tulips.txt" in (place / "seen.json").read_text()
    (result,) = results(tmp_path)
    assert result == (
        'tulips.txt\nroses.txt\n(a hook had changed the arguments to {"path": "garden"})'
    )


def test_what_a_killed_call_had_printed_is_shown_with_the_question(tmp_path, place):
    (place / "mine.py").write_text(MINE.replace("looking", "first\\nsecond").replace("0.3", "60"))
    with shipped(tmp_path, "--tools", "mine.py", columns=100) as terminal:
        terminal.ready()
        terminal.line("list the files")
        terminal.wait("may it run?")
        terminal.line("y")
        terminal.wait(r"second \x1b[31m around")
        terminal.child.kill(9)
        terminal.child.wait()
    again = ("--tools", "mine.py", "--resume", "last")
    with shipped(tmp_path, *again, columns=140) as terminal:
        terminal.wait("[output]")
        terminal.ready()
        terminal.line("/continue")
        terminal.wait("may it run again?")
        rows = terminal.rows()
        at = rows.index("it had printed:")
        assert rows[at + 1 : at + 3] == ["  first", r"  second \x1b[31m around"]
        terminal.line("n")
        terminal.answered()
    (result,) = results(tmp_path)
    assert result.endswith("; it had printed:\nfirst\nsecond \x1b[31m around\n")

"""An open block on a terminal that breaks its rows anew when it becomes narrower: tmux."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.terminal import PATIENCE, environment

from palaver.config import environment as settings

OPEN = "tests.terminal.open_table"


class Tmux:
    """A program in a tmux of its own."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._tmux = ["tmux", "-f", "/dev/null", "-S", str(folder / "s")]
        env = environment(folder, TERM="xterm-256color")
        self.run("new-session", "-d", "-x", "80", "-y", "24", *command, env=env)

    def run(self, *args: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._tmux, *args], env=env, capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout

    def rows(self) -> list[str]:
        """Return all rows, those in the scrollback first."""
        return self.run("capture-pane", "-p", "-S", "-1000").rstrip("\n").split("\n")

    def wait(self, met: Callable[[str], bool]) -> list[str]:
        """Wait until the rows, without their ends, are as wanted."""
        end = time.monotonic() + PATIENCE
        while not met("".join(rows := self.rows())):
            assert time.monotonic() < end, "\n".join(rows)
            time.sleep(0.05)
        return rows


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux")
    with tempfile.TemporaryDirectory() as folder:  # a short name: a socket stands in it
        tmux = Tmux(Path(folder), sys.executable, "-m", OPEN)
        try:
            yield tmux
        finally:
            tmux.run("kill-server")


def test_no_row_of_an_open_block_stands_twice_after_a_resize(tmux):
    tmux.wait(lambda shown: "row 2" in shown and "you>" in shown)
    tmux.run("resize-window", "-x", "50", "-y", "24")
    tmux.run("send-keys", "x")  # it comes after the signal
    rows = tmux.wait(lambda shown: "you> x" in shown)
    for words in ("finished", "above", "name", "row 0", "row 1", "row 2"):
        assert "".join(rows).count(words) == 1, "\n".join(rows)


@pytest.mark.parametrize(
    ("variables", "known"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, True),
        ({"TERM": "screen", "STY": "1.pts", "VTE_VERSION": "7600"}, False),
        ({"TERM": "linux"}, False),
    ],
)
def test_which_terminals_are_known_to_break_rows_anew(monkeypatch, variables, known):
    for name in ("TERM_PROGRAM", "STY", *settings._OF_REFLOWING):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings.reflows() is known

"""A chat in a full terminal with an engine that is hosted: tools, undo, a death in between."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from tests.support.terminal import Terminal

NANO = Path(__file__).parents[1] / "data" / "palaver-nano"
LOADING = 120.0  # seconds; torch takes a while to import, longer on a busy machine
TOOLS = ("--tools", "python,read_file,list_files", "--context", "1024")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.py").write_text("pass")
    (folder / "a.txt").write_text("alpha")
    monkeypatch.chdir(folder)
    return folder


def engine(terminal: Terminal) -> int:
    """Return the process id of the engine."""
    for child in psutil.Process(terminal.pid).children():
        if "palaver.engines.host.child" in child.cmdline():
            return child.pid
    raise AssertionError("there is no host")


def reads(terminal: Terminal) -> list[str]:
    """Return what was said of each answer's prompt."""
    return [row for row in terminal.rows() if " reused, " in row and " read" in row]


def test_tools_undo_and_a_killed_engine(place, tmp_path):
    with Terminal(tmp_path / "h", "-e", "transformers", *TOOLS, model=NANO) as terminal:
        terminal.wait("next:", LOADING)
        assert "on transformers, context 1024" in terminal.text()
        terminal.line("Read a.txt and list src.")
        terminal.wait("a.txt says alpha; src holds main.py.")
        terminal.wait(lambda: len(reads(terminal)) == 1)
        terminal.ready()
        terminal.line("/undo")
        terminal.ready()
        os.kill(engine(terminal), signal.SIGKILL)
        terminal.wait("the engine ended; a turn starts it")
        terminal.line("Read a.txt and list src.")
        said = "a.txt says alpha; src holds main.py."
        terminal.wait(lambda: terminal.text().count(said) == 2, LOADING)
        terminal.wait(lambda: len(reads(terminal)) == 2)
        terminal.line("/quit")
        assert terminal.ended() == 0


def test_nothing_of_torch_is_loaded_before_the_prompt(tmp_path):
    report = tmp_path / "modules.json"
    command = [sys.executable, "-m", "tests.terminal.startup_modules", str(report), "--no-save"]
    command += ["-m", str(NANO), "-e", "transformers"]
    with Terminal(tmp_path / "h", command=command) as terminal:
        terminal.wait(report.exists)
        terminal.line("/quit")
        terminal.ended()
    loaded = {name.partition(".")[0] for name in json.loads(report.read_text())}
    assert not loaded & {"torch", "transformers", "tokenizers", "safetensors", "numpy", "mlx"}

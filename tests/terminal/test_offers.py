"""Lines of an answer that begin with `CMD: ` are offered, asked about and run in the sandbox."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.recordings import BEGIN, STOP, events
from tests.support.recordings import said as says
from tests.support.replay import replaying_beside, stream
from tests.support.stored import entries, said
from tests.support.terminal import Terminal

from palaver.core.log import Notice
from palaver.terminal.offers import commands

PROPOSED = stream(events(BEGIN, says("CMD: ./make"), STOP))
FINE = stream(events(BEGIN, says("fine"), STOP))
OUTPUT = "./make\n(no output)\n[changed made]"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello there\n")
    (folder / "make").write_text("#!/bin/sh\ntouch made\n")
    (folder / "make").chmod(0o755)
    monkeypatch.chdir(folder)
    return folder


@contextmanager
def chat(home: Path, *args: str, first: object = PROPOSED) -> Iterator[Terminal]:
    """Chat with a server whose model proposes a command; what it says then is fine.

    palaver-tiny does not know what the system prompt of --cmd asks for.
    """
    line = [sys.executable, "-m", "palaver.cli.main", *args]
    with (
        replaying_beside(first, FINE) as told,
        Terminal(home, command=[*line, "--endpoint", told.url], columns=100) as terminal,
    ):
        yield terminal


def notices(home: Path) -> list[str]:
    return [entry.text for entry in entries(home) if isinstance(entry, Notice)]


def test_what_is_allowed_runs_and_its_output_goes_with_the_next_message(tmp_path, place):
    with chat(tmp_path, "--cmd", "--no-tools", "--consent", "auto") as terminal:
        terminal.ready()
        terminal.line("make it")
        terminal.wait("[result] shell: 1 line")
        terminal.ready()
        terminal.line("hello")
        terminal.wait("fine")
        terminal.ready()
        terminal.leave()
    assert notices(tmp_path) == ["CMD: ./make was begun", f"$ {OUTPUT}"]
    assert said(tmp_path)[1] == f"[exec output]\n$ {OUTPUT}\n\nhello"


@pytest.mark.parametrize(
    ("answer", "printed", "made"),
    [
        ("y", "(no output)\n[changed made]", True),
        ("n not now", "declined by the user: not now", False),
    ],
)
def test_a_line_that_may_do_more_is_asked_about(tmp_path, place, answer, printed, made):
    with chat(tmp_path, "--cmd") as terminal:
        terminal.ready()
        terminal.line("make it")
        terminal.wait("may it run?")
        assert "  | ./make" in terminal.rows()
        assert not (place / "made").exists()
        terminal.line(answer)
        terminal.wait("[result] shell")
        terminal.ready()
        terminal.leave()
    assert (place / "made").exists() == made
    assert notices(tmp_path)[-1] == f"$ ./make\n{printed}"


def test_ctrl_c_at_the_question_runs_nothing(tmp_path, place):
    with chat(tmp_path, "--cmd") as terminal:
        terminal.ready()
        terminal.line("make it")
        terminal.wait("may it run?")
        terminal.send("\x03")
        terminal.wait("not run: the user stopped the turn")
        terminal.ready()
        terminal.leave()
    assert not (place / "made").exists()


def test_what_a_killed_proposal_had_printed_goes_with_the_next_message(tmp_path, place):
    (place / "make").write_text("#!/bin/sh\necho half; sleep 60\n")
    with chat(tmp_path, "--cmd", "--no-tools", "--consent", "auto") as terminal:
        terminal.ready()
        terminal.line("make it")
        terminal.wait(lambda: "  half" in terminal.rows())
        terminal.child.kill(9)
        terminal.child.wait()
    more = "--no-tools", "--resume", "last", "--max-tokens", "20"
    with chat(tmp_path, *more, first=FINE) as terminal:
        terminal.ready()
        terminal.line("hello")
        terminal.wait("fine")
        terminal.ready()
        terminal.leave()
    assert said(tmp_path)[1] == (
        "[exec output]\nCMD: ./make was begun\nhalf\n[palaver ended while this ran]\n\nhello"
    )


def test_without_the_flag_nothing_is_offered(tmp_path, place):
    with chat(tmp_path, "--no-tools") as terminal:
        terminal.ready()
        terminal.line("make it")
        terminal.wait(" reused, ")
        terminal.ready()
        assert "[result]" not in terminal.text()
        assert not (place / "made").exists()
        terminal.leave()
    assert notices(tmp_path) == []


def test_what_is_a_proposal():
    text = "Try this:\nCMD: ls -l\n CMD: no\nCMD:no\nCMD: \nCMD:   df  \ncmd: no\nx CMD: no"
    assert commands(text) == ["ls -l", "df"]

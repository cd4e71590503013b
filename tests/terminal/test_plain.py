"""The chat without redrawing: pipes, dumb terminals, --plain."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.stored import messages
from tests.support.terminal import LONG, PALAVER, PATIENCE, Terminal, environment, piped, tiny

from palaver.core.messages import Message
from palaver.sessions.store import Store

SMALL = ["--threads", "1", "--context", "2048", "--max-tokens", "12", "--seed", "1"]


def chat(home: Path, typed: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Chat with what is typed on a pipe."""
    return piped(home, "-m", str(tiny()), *SMALL, *args, typed=typed)


def test_lines_of_a_pipe_are_answered_on_a_pipe(tmp_path):
    done = chat(tmp_path, "one\n\n  two  ", "--system", "be brief")
    assert done.returncode == 0
    stored = messages(tmp_path)
    assert [m.role for m in stored] == ["system", "user", "assistant", "user", "assistant"]
    assert [m.text for m in stored[1::2]] == ["one", "two"]
    # The answers and nothing but them, as they are: a program reads them.
    answers = [m.text for m in stored[2::2]]
    assert done.stdout == "".join(a if a.endswith("\n") else a + "\n" for a in answers)
    assert "\x1b" not in done.stderr


def test_what_went_wrong_on_a_pipe_is_said_and_in_the_exit_code(tmp_path):
    done = chat(tmp_path, "one\n/nonsense\n/\ntwo\n")
    assert done.returncode == 2
    assert "there is no command /nonsense" in done.stderr
    assert done.stderr.count("there is no command") == 2
    assert done.stderr.count("cut off at the limit: /continue goes on") == 2
    assert len(messages(tmp_path)) == 4
    odd = subprocess.run(
        [*PALAVER, "-m", str(tiny()), *SMALL],
        input=b"one\n\xff\xfe\n",
        capture_output=True,
        env=environment(tmp_path),
        timeout=PATIENCE,
    )
    assert odd.returncode == 2
    assert b"what was piped is not UTF-8 text" in odd.stderr


def test_a_pipe_that_closes_ends_it_quietly(tmp_path):
    script = f"echo hi | {' '.join(PALAVER)} -m {tiny()} {' '.join(LONG)} | head -c 1"
    done = subprocess.run(
        ["bash", "-c", script + '; echo "${PIPESTATUS[1]}" >&2'],
        capture_output=True,
        env=environment(tmp_path),
        timeout=PATIENCE,
    )
    assert done.stderr.split() == [b"0"]
    assert len(done.stdout) == 1


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_while_it_waits_for_input(tmp_path, how, code):
    with subprocess.Popen(
        [*PALAVER, "-m", str(tiny()), *SMALL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(how)
        assert process.wait(PATIENCE) == code
        assert process.stderr
        assert process.stderr.read() == b"cut off at the limit: /continue goes on\n"
    assert len(messages(tmp_path)) == 2


@pytest.mark.parametrize("way", ["dumb", "--plain", "unset"])
def test_a_terminal_that_can_not_be_redrawn(tmp_path, way):
    env = {"dumb": {"TERM": "dumb"}, "unset": {"TERM": ""}}.get(way, {})
    args = ["--plain"] if way == "--plain" else []
    with Terminal(
        tmp_path, "--max-tokens", "12", "--seed", "1", *args, env=env, columns=200
    ) as terminal:
        terminal.wait("you>")
        terminal.send("hello\n")
        terminal.wait(lambda: re.search(r"\[.*12 tokens .* read\]", terminal.text()))
        terminal.send("/model \x16\x1b[2Jx\n")
        terminal.wait(r"\x1b[2Jx' here")
        terminal.send("\x03")
        terminal.wait("Ctrl-C again leaves")
        terminal.send("\x03")
        assert terminal.ended() == 130
    assert b"\x1b" not in terminal.raw.replace(b"^[", b"")


def test_ctrl_c_stops_a_plain_answer(tmp_path):
    long = ("--max-tokens", "20000", "--context", "24576", "--temperature", "0", "--plain")
    with Terminal(tmp_path, *long) as terminal:
        terminal.wait("you>")
        terminal.send("hello\n")
        terminal.streams(300)
        terminal.send("\x03")
        terminal.wait("stopped: /continue goes on")
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert messages(tmp_path)[1].stop == "cancelled"


def test_a_model_that_can_not_be_loaded_is_said_once(tmp_path):
    done = chat(tmp_path, "hello\n", "-m", str(tmp_path / "none.gguf"))
    assert done.returncode == 2
    assert done.stderr.count("there is no such file") == 1
    assert done.stdout == ""


def test_a_session_that_is_open_elsewhere_is_not_written(tmp_path):
    with subprocess.Popen(
        [*PALAVER, "-m", str(tiny()), *SMALL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path),
    ) as first:
        assert first.stdin
        assert first.stdout
        first.stdin.write(b"mine\n")
        first.stdin.flush()
        first.stdout.readline()
        second = chat(tmp_path, "", "--resume", "1")
        assert second.returncode == 2
        assert "open for writing in another palaver" in second.stderr
        other = chat(tmp_path, "/resume 1\nstill here\n")
        assert "open for writing in another palaver" in other.stderr
        assert other.returncode == 2
        os.kill(first.pid, signal.SIGKILL)
    again = chat(tmp_path, "and on\n", "--resume", "1")
    assert again.returncode == 0
    assert "you> mine" in again.stderr
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        texts = [r.entry.text for r in store.path(1) if isinstance(r.entry, Message)]
    assert texts[0] == "mine"
    assert texts[2] == "and on"

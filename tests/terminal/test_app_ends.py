"""However a chat ends, nothing that was said is lost and nothing unreadable is on the screen."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
from pathlib import Path

import psutil
import pytest
from tests.support.terminal import LONG, Terminal, tiny

from palaver.core.messages import Message
from palaver.sessions.store import Store


def stored(home: Path) -> list[Message]:
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        rows = store.path(store.list_sessions(1)[0].id)
    return [row.entry for row in rows if isinstance(row.entry, Message)]


def streaming(terminal: Terminal) -> None:
    terminal.ready()
    terminal.line("go on for long")
    terminal.streams()


def shown(terminal: Terminal) -> str:
    """Return the letters of the answer that stand on the screen."""
    rows = terminal.rows()
    first = rows.index("you> go on for long") + 1
    last = next((i for i, row in enumerate(rows[first:], first) if row.startswith("you>")), None)
    return letters("".join(rows[first:last]))


def letters(text: str) -> str:
    return re.sub(r"\\x..|[^A-Za-z]", "", text)


def quiet(terminal: Terminal) -> None:
    assert "Traceback" not in terminal.text()
    assert "Unhandled" not in terminal.text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_keeps_the_partial_answer(tmp_path, how):
    with Terminal(tmp_path, *LONG) as terminal:
        streaming(terminal)
        os.kill(terminal.pid, how)
        assert terminal.ended() == 128 + how
        quiet(terminal)
        assert b"\x1b[?2004l" in terminal.raw[-2000:]  # the terminal is as it was
    question, answer = stored(tmp_path)
    assert question.text == "go on for long"
    assert answer.stop == "cancelled"
    assert shown(terminal)[:200] in letters(answer.text)


def test_a_closed_terminal_loses_nothing(tmp_path):
    with Terminal(tmp_path, *LONG) as terminal:
        streaming(terminal)
        seen = shown(terminal)
        process = psutil.Process(terminal.pid)
        engine = process.children()
        terminal.child.close(force=False)
        _, alive = psutil.wait_procs([process, *engine], timeout=20)
        assert not alive
    _, answer = stored(tmp_path)
    assert answer.stop == "cancelled"
    assert seen
    assert letters(answer.text).startswith(seen)


def test_kill_9_loses_no_word_that_was_seen_and_continue_goes_on(tmp_path):
    with Terminal(tmp_path, *LONG) as terminal:
        streaming(terminal)
        engine = psutil.Process(terminal.pid).children()
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.ended()
        seen = shown(terminal)
        psutil.wait_procs(engine, timeout=20)
        assert not any(process.is_running() for process in engine)
    resume = ("--resume", "last", "--max-tokens", "30", "--temperature", "0", *LONG[2:4])
    with Terminal(tmp_path, *resume) as looked:
        looked.wait("the last answer had been cut off: /continue goes on with it")
        looked.ready()
        looked.leave()
    with Terminal(tmp_path, *resume) as again:  # it still is
        again.wait("the last answer had been cut off: /continue goes on with it")
        assert "you> go on for long" in again.rows()
        again.line("/continue")
        again.wait(lambda: "cut off at the limit" in again.text())
        again.send("\x04")
        assert again.ended() == 0
        quiet(again)
    _, answer = stored(tmp_path)
    assert answer.stop == "length"
    assert letters(answer.text).startswith(seen)
    assert len(letters(answer.text)) > len(seen) > 200


def test_a_killed_engine_is_said_and_started_again(tmp_path):
    with Terminal(tmp_path, *LONG) as terminal:
        streaming(terminal)
        (engine,) = psutil.Process(terminal.pid).children()
        engine.kill()
        terminal.wait("error: the engine's process ended (signal SIGKILL")
        terminal.wait("the engine is back")
        assert "broken off: /continue goes on" in terminal.text()
        before = shown(terminal)
        terminal.line("/set max_tokens 20")
        terminal.line("/continue")
        terminal.wait("cut off at the limit")
        assert before
        # Between two turns it costs what was cached alone, and the status line says so.
        terminal.ready()
        (engine,) = psutil.Process(terminal.pid).children()
        engine.kill()
        terminal.wait("the engine ended; a turn starts it")
        assert "reused" not in terminal.status()
        terminal.line("still there?")
        terminal.wait(lambda: terminal.text().count("cut off at the limit") == 2)
        assert terminal.text().count("error:") == 1
        terminal.send("\x04")
        assert terminal.ended() == 0
        quiet(terminal)
    _, first, _, second = stored(tmp_path)
    assert (first.stop, second.stop) == ("length", "length")


def test_ctrl_z_suspends_and_fg_draws_again(tmp_path):
    with Terminal(tmp_path, command=["bash", "--norc", "-i"], env={"PS1": "shell> "}) as terminal:
        terminal.wait("shell>")
        limits = "--threads 1 --context 2048 --max-tokens 20"
        terminal.line(f"{sys.executable} -m palaver.cli.main -m {tiny()} {limits}")
        terminal.ready()
        terminal.send("half a li")
        terminal.wait("you> half a li")
        terminal.send("\x1a")
        terminal.wait("Stopped")
        terminal.line("fg")
        terminal.wait(lambda: "you> half a li" in terminal.text().partition("Stopped")[2])
        terminal.send("ne\r")
        terminal.wait("cut off at the limit")
        terminal.send("\x04")
        terminal.wait(lambda: terminal.rows()[-1] == "shell>")
        quiet(terminal)
        terminal.line("stty -a | grep -c ' echo '")
        terminal.wait(lambda: terminal.rows()[-2:] == ["1", "shell>"])
    assert stored(tmp_path)[0].text == "half a line"


def test_leaving_while_the_model_loads_is_at_once(tmp_path):
    (tmp_path / "slow.gguf").symlink_to(tiny())
    with Terminal(tmp_path, model=tmp_path / "slow.gguf") as terminal:
        terminal.wait("you>")
        terminal.line("not answered")
        terminal.send("\x04")
        assert terminal.ended() == 0
        quiet(terminal)


def test_no_save_leaves_nothing_behind(tmp_path):
    with Terminal(tmp_path, "--no-save", "--max-tokens", "5") as terminal:
        terminal.wait("session not kept")
        terminal.line("a secret")
        terminal.wait("read")
        opened = [Path(file.path) for file in psutil.Process(terminal.pid).open_files()]
        stores = [path for path in opened if path.name == "palaver.db"]
        assert stores
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert not (tmp_path / "data" / "palaver.db").exists()
    assert not list((tmp_path / "data" / "kv").glob("*"))
    assert not [path for path in stores if path.parent.exists()]


def test_what_was_sent_and_not_stored_comes_back_after_a_kill(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    with Terminal(tmp_path, *LONG) as terminal:
        streaming(terminal)
        terminal.line("typed ahead, one")
        terminal.line("typed ahead, two")
        terminal.wait("queued: typed ahead, two")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.ended()
    with Terminal(tmp_path, "--max-tokens", "5") as again:
        again.wait("sent and not stored when palaver was killed: typed ahead, one")
        again.wait("sent and not stored when palaver was killed: typed ahead, two")
        again.ready()
        assert "you> typed ahead, one" in again.rows()  # in the input line
        assert "go on for long" not in again.text()  # that is stored
        again.send("\r")
        again.wait("cut off at the limit")
        again.send("\x04")
        assert again.ended() == 0
    assert not list((tmp_path / "state").glob("unsent-*"))
    with Terminal(tmp_path, "--max-tokens", "5") as third:
        third.ready()
        assert "not stored" not in third.text()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no limits of other processes")
def test_what_a_full_disk_refuses_is_given_back(tmp_path):
    with Terminal(tmp_path, "--max-tokens", "5") as terminal:
        terminal.ready()
        _, hard = resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (4096, hard))  # no file may grow
        terminal.line("something long that took me an hour")
        terminal.wait("What was said before is safe.")
        terminal.wait(lambda: "you> something long that took me an hour" in terminal.rows()[-2:])
        with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
            assert not store.list_sessions()
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (hard, hard))
        terminal.send("\r")
        terminal.answered()
        terminal.leave()
    assert [m.text for m in stored(tmp_path) if m.role == "user"] == [
        "something long that took me an hour"
    ]


def test_the_line_that_leaves_stands_on_the_screen_once(tmp_path):
    with Terminal(tmp_path) as terminal:
        terminal.ready()
        terminal.line("/quit")
        assert terminal.ended() == 0
        assert [row for row in terminal.rows() if "you>" in row] == ["you> /quit"]

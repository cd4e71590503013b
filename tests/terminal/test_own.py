"""The user's own commands, on a real pty: run at once, shared with the next message or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.stored import entries, said
from tests.support.terminal import Terminal, shipped

from palaver import demo
from palaver.core.log import Notice
from palaver.core.printed import plain
from palaver.sessions.query import fetch
from palaver.sessions.store import Store
from palaver.terminal import command
from palaver.terminal.own import moves_to


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    (folder / "sub").mkdir(parents=True)
    (folder / "notes.txt").write_text("hello there\n")
    (folder / "sub" / "deep.txt").write_text("deep\n")
    monkeypatch.chdir(folder)
    return folder


def test_what_a_command_prints_begins_the_next_message(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("!cat notes.txt; printf '\\033[31mred\\033[0m'; exit 3")
        terminal.wait("exit code 3; 2 lines for the model, with your next message")
        assert b"\x1b[31mred\x1b[0m" in terminal.raw  # the command is the user's own
        rows = terminal.rows()
        assert "hello there" in rows
        assert "red" in rows
        terminal.line("!!echo between us")
        terminal.wait(lambda: "between us" in terminal.rows())
        terminal.line("!true")
        terminal.wait("exit code 0; 0 lines")
        terminal.line("hello")
        terminal.answered()
        terminal.leave()
    line = "cat notes.txt; printf '\\033[31mred\\033[0m'; exit 3"
    assert said(tmp_path) == [
        f"[exec output]\n$ {line}\nhello there\nred\n[exit code 3]\n"
        "[exec output]\n$ true\n[exit code 0]\n\nhello"
    ]
    assert "between us" not in str(entries(tmp_path))


def test_it_is_kept_before_it_was_said_and_comes_back_with_undo(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("!echo kept")
        terminal.wait("exit code 0; 1 line for the model")
        terminal.child.kill(9)
        terminal.child.wait()
    assert entries(tmp_path) == [
        Notice("info", "$ echo kept"),
        Notice("exec", "$ echo kept\nkept\n[exit code 0]"),
    ]
    with shipped(tmp_path, "--resume", "1", columns=100) as terminal:
        terminal.ready()
        terminal.line("hello")
        terminal.answered()
        terminal.line("/edit")
        terminal.wait("change it and send it")
        terminal.wait(lambda: "you> hello" in terminal.rows()[-2:])
        terminal.send(" there\r")
        terminal.answered(2)
        terminal.leave()
    assert said(tmp_path) == ["[exec output]\n$ echo kept\nkept\n[exit code 0]\n\nhello there"]


def test_what_was_seen_of_a_command_outlives_a_kill(tmp_path, place):
    line = "printf '\\033[31mred\\033[0m\\nhalf a li'; sleep 60"
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line(f"!{line}")
        terminal.wait(lambda: "half a li" in terminal.rows())
        terminal.child.kill(9)
        terminal.child.wait()
    with shipped(tmp_path, "--resume", "1", columns=100) as terminal:
        terminal.ready()
        terminal.line("hello")
        terminal.answered()
        terminal.leave()
    kept = f"$ {line}\nred\nhalf a li\n[palaver ended while this ran]"
    assert said(tmp_path) == [f"[exec output]\n{kept}\n\nhello"]


def test_a_command_that_prints_without_end_is_shown_and_kept_in_part(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("!head -c 1500000 /dev/zero; echo over")
        terminal.wait(lambda: "over" in terminal.rows())
        terminal.wait("lines for the model")
        terminal.line("!seq 5000")
        terminal.wait("the middle left out")
        count = int(re.findall(r"exit code 0; (\d+) lines", terminal.text())[-1])
        assert 100 < count < 1000
        terminal.line("hello")
        terminal.answered()
        terminal.leave()
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        assert not fetch(store.db.main, "SELECT 1 FROM journal")
    assert "[451430 bytes left out]\nover\n" in said(tmp_path)[0]


def test_the_terminal_is_handed_over(tmp_path, place):
    """Keys go to the command as they are: Ctrl-C stops it, and not the chat."""
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line('!stty size; read -r word; echo "got $word"; sleep 60')
        terminal.wait(lambda: "24 100" in terminal.rows())
        terminal.send("typed\r")
        terminal.wait(lambda: "got typed" in terminal.rows())
        terminal.send("\x03")
        terminal.wait("killed by Interrupt")
        terminal.line("!stty -a | grep -c -e ' icanon' -e ' echo '; printf 'no newline'")
        terminal.wait(lambda: "no newline" in terminal.rows())
        terminal.wait("exit code 0; 2 lines")
        terminal.ready()
        terminal.line("hello")
        terminal.answered()
        terminal.leave()
    assert "got typed" in said(tmp_path)[0]


def test_what_a_full_screen_program_drew_is_not_shared(tmp_path, place):
    draw = "!printf '\\033[?1049h\\033[2J\\033[HDRAWN'; read -r _; printf '\\033[?1049l'; echo over"
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line(draw)
        terminal.wait(lambda: b"\x1b[HDRAWN" in terminal.raw)
        terminal.send("\r")
        terminal.wait(lambda: "over" in terminal.rows())
        terminal.wait("for the model")
        terminal.leave()
    _, notice = entries(tmp_path)
    assert isinstance(notice, Notice)
    assert notice.text.split("\n")[1:] == ["over", "[exit code 0]"]


def test_leaving_ends_a_command(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("!echo $$; exec sleep 60")
        terminal.wait(lambda: any(row.isdecimal() for row in terminal.rows()))
        (pid,) = [row for row in terminal.rows() if row.isdecimal()]
        terminal.child.kill(15)
        assert terminal.ended() == 143
    assert not Path(f"/proc/{pid}").exists()


def test_cd_moves_commands_and_only_slash_cd_moves_tools(tmp_path, place):
    with shipped(tmp_path, columns=200) as terminal:
        terminal.ready()
        terminal.line("!cd sub")
        terminal.wait(f"tools still work in {place}")
        terminal.line("!!pwd; cat deep.txt")
        terminal.wait(lambda: "deep" in terminal.rows())
        terminal.line("!cd nowhere")
        terminal.wait("No such file")
        terminal.line("!cd -")
        terminal.wait(lambda: str(place) in terminal.rows())
        terminal.line("/cd sub")
        terminal.wait(f"folder: {place / 'sub'}")
        terminal.line("list the files")
        terminal.answered()
        assert "  deep.txt" in terminal.rows()
        terminal.leave()


def test_a_pipe_runs_nothing(tmp_path, place):
    import subprocess
    import sys

    from tests.support.terminal import environment

    done = subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "--plain", "--threads", "1"],
        input="!touch made\n", env=environment(tmp_path), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert "commands are run at a terminal alone" in done.stderr
    assert not (place / "made").exists()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("!ls -l", ("exec", "ls -l")),
        ("!!ls", ("exec", "!ls")),
        ("! is not", None),
        ("!", None),
        ("!!", None),
        ("!!! what", None),
    ],
)
def test_what_is_a_command(line, found):
    assert command.split(line) == found


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("cd", "~"), ("cd a", "a"), ("cd 'a b'", "a b"), ("cd -", "-"), ("cd ..", ".."),
        ("cd a && ls", None), ("cd $HOME", None), ("cd a b", None), ("cdx", None), ("cd 'a", None),
    ],
)  # fmt: skip
def test_what_moves(line, place):
    assert moves_to(line) == place


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("a\r\nb\r\n", "a\nb"),
        ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x", "red x"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        (" 10%\r 50%\r100%\n", "100%"),
        ("abc\b\bX", "aXc"),
        ("a\x07\x00b\x7f", "ab"),
        ("a\x1b[?1049hscreen\x1b[?1049lb", "ab"),
        ("a\x1b[?1049hscreen", "a"),
        ("\x1bPsecret\x1b\\a\x1b(Bb\x1b", "ab"),
        ("\x1b[31", ""),
    ],
)
def test_text_that_was_seen(written, seen):
    assert plain(written) == seen


def test_the_size_follows_and_what_writes_on_is_hung_up(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("!trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.1; done")
        terminal.wait(lambda: "24 100" in terminal.rows())
        terminal.resize(90, 30)
        terminal.wait(lambda: "30 90" in terminal.rows())
        terminal.wait("2 lines for the model")
        terminal.line("!(trap '' HUP; while echo on; do :; done) & echo done")
        terminal.wait(lambda: terminal.text().count("for the model") == 2)
        terminal.leave()


def test_plain_lines_hand_the_terminal_over_too(tmp_path, place):
    with shipped(tmp_path, "--plain", columns=100) as terminal:
        terminal.wait("you>")
        terminal.line('!echo rea""dy; read -r word; echo "got $word"')
        terminal.wait(lambda: "ready" in terminal.rows())
        terminal.send("typed\r")
        terminal.wait(lambda: "got typed" in terminal.rows())
        terminal.wait("exit code 0; 3 lines")
        terminal.line("hello")
        terminal.wait("reused,")
        terminal.leave()
    assert "got typed" in said(tmp_path)[0]


def test_a_shell_that_there_is_not_is_said(tmp_path, place):
    with Terminal(tmp_path, model=demo.path(), env={"SHELL": "/bin/none"}) as terminal:
        terminal.ready()
        terminal.line("!ls")
        terminal.wait("there is no shell /bin/none")
        terminal.leave()

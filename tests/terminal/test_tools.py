"""Tools in a full terminal with the shipped model: seen, asked about, stopped, resumed."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stored import entries, results
from tests.support.terminal import Terminal, shipped
from tests.tools.patch_trials import CHANGES, killed

from palaver.chat.decide import AwaitUser, next_step
from palaver.core.log import Approval, CallStarted, FileChange
from palaver.core.messages import Message, ToolCall, user
from palaver.sessions.store import Store
from palaver.tools.patch import plan

ALL = ("--tools", "shell,read_file,list_files,write_file,search_files")
WRITE = "write 'hello' to greeting.txt"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello there\nsecond line\n")
    monkeypatch.chdir(folder)
    return folder


def kinds(home: Path) -> list[str]:
    """Return what stands in the log, an entry a word."""
    return [e.role if isinstance(e, Message) else type(e).__name__ for e in entries(home)]


def written(place: Path) -> Iterator[Path]:
    return (path for path in place.iterdir() if path.name != "notes.txt")


def test_reading_tools_are_on_and_every_step_is_in_the_log(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("list the files")
        terminal.answered()
        terminal.line("Read notes.txt")
        terminal.answered(2)
        rows = terminal.rows()
        assert "[call] list_files({})" in rows
        at = rows.index("[result] read_file: 2 lines")
        assert rows[at + 1 : at + 3] == ["  hello there", "  second line"]
        assert rows[at + 3].startswith("The file begins with: hello")
        terminal.leave()
    assert kinds(tmp_path) == ["user", "assistant", "CallStarted", "tool", "assistant"] * 2
    assert results(tmp_path) == ["notes.txt", "hello there\nsecond line\n"]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("y", "wrote 5 bytes"),
        ("n", "declined by the user"),
        ("n use another name", "declined by the user: use another name"),
    ],
)
def test_writing_is_asked_about_with_the_diff(tmp_path, place, answer, result):
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        terminal.line(WRITE)
        terminal.wait("may it run?")
        assert "  | +hello" in terminal.rows()
        assert not list(written(place))
        terminal.line("what is this?")
        terminal.wait("Ctrl-C stops the turn")
        assert not list(written(place))
        terminal.line(answer)
        terminal.answered()
        terminal.leave()
    assert kinds(tmp_path) == [
        "user", "assistant", "Approval", *(["CallStarted"] if answer == "y" else []), "tool",
        "assistant",
    ]  # fmt: skip
    assert [text[: len(result)] for text in results(tmp_path)] == [result]
    assert [path.read_text() for path in written(place)] == (["hello"] if answer == "y" else [])


def test_python_computes_in_the_sandbox(tmp_path, place):
    with shipped(tmp_path, "-p", columns=100) as terminal:
        terminal.ready()
        terminal.line("what is 12*12?")
        terminal.wait("python: may it run?")
        assert "  | print(12*12)" in terminal.rows()
        terminal.line("y")
        terminal.answered()
        assert "144" in terminal.text().rpartition("[result] python")[2]
        terminal.leave()
    assert kinds(tmp_path) == ["user", "assistant", "Approval", "CallStarted", "tool", "assistant"]


def test_an_answer_that_lasts_is_shown_as_a_rule_and_not_asked_again(tmp_path, place):
    config = tmp_path / "config" / "config.toml"
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        terminal.line(WRITE)
        terminal.wait("may it run?")
        terminal.line("a")
        terminal.answered()
        assert "allowed from now on, written to the config:" in terminal.text()
        terminal.leave()
    assert 'then = "allow"' in config.read_text()
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        terminal.line(WRITE)
        terminal.answered()
        assert "may it run?" not in terminal.text()
        terminal.leave()
    assert kinds(tmp_path) == ["user", "assistant", "CallStarted", "tool", "assistant"]
    (approval,) = [e for e in entries(tmp_path, 1) if isinstance(e, Approval)]
    assert (approval.allowed, approval.by) == (True, "always")


def slow(terminal: Terminal) -> None:
    """Have a command run that takes a while."""
    terminal.line("run sleep 30")
    terminal.wait(lambda: "may it run?" in terminal.text() or "running shell" in terminal.text())
    if "may it run?" in terminal.text():
        terminal.line("y")
    terminal.wait("running shell")


def test_ctrl_c_ends_a_tool_and_leaves_the_turn_in_order(tmp_path, place):
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        slow(terminal)
        begun = time.monotonic()
        terminal.send("\x03")
        terminal.wait("stopped by the user after")
        assert time.monotonic() - begun < 10  # a busy machine; two seconds are measured elsewhere
        terminal.ready()
        assert not _running("sleep 30", place)
        terminal.line("/continue")
        terminal.answered()
        terminal.leave()
    assert kinds(tmp_path)[-3:] == ["CallStarted", "tool", "assistant"]


def test_killed_in_a_tool_it_asks_before_it_runs_the_call_again(tmp_path, place):
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        slow(terminal)
        terminal.child.kill(9)
        terminal.child.wait()
    assert isinstance(entries(tmp_path)[-1], CallStarted)
    with shipped(tmp_path, *ALL, "--resume", "last", columns=140) as terminal:
        terminal.wait("a tool call has no result yet")
        terminal.ready()
        terminal.line("/continue")
        terminal.wait("may it run again? it was under way when palaver ended")
        terminal.line("n")
        terminal.answered()
        terminal.leave()
    assert results(tmp_path) == [
        "not run again: it was under way when the program ended, what it did is not known"
    ]
    assert not _running("sleep 30", place)


def test_a_patch_that_was_killed_half_way_is_put_back_before_anything_is_asked(tmp_path, place):
    (place / "a").write_text("a\n")
    patch = (
        "*** Begin Patch\n*** Update File: a\n@@\n-a\n+A\n"
        "*** Update File: notes.txt\n@@\n-second line\n+2\n*** End Patch"
    )
    calls = range(1, 100)
    made = plan(place, patch)
    next(n for n in calls if killed(made, n, CHANGES) and (place / "a").read_text() == "A\n")
    call = ToolCall("c", "apply_patch", json.dumps({"patch": patch}))
    with Store(tmp_path / "data" / "palaver.db") as store:
        session = store.create_session()
        last = None
        for entry in (
            user("change them"),
            Message("assistant", (call,), "end"),
            CallStarted("c", "apply_patch", str(place), (FileChange("a"),)),
        ):
            last = store.append(session, last, entry).id
    os.chdir(tmp_path)  # the session goes on elsewhere
    with shipped(tmp_path, "-a", "--resume", "last", columns=200) as terminal:
        terminal.wait("put back a: the patch that changed it had been cut off")
        terminal.wait("a tool call has no result yet")
        assert (place / "a").read_text() == "a\n"
        assert sorted(path.name for path in place.iterdir()) == ["a", "notes.txt"]
        terminal.ready()
        terminal.leave()


def test_saying_something_else_leaves_an_open_call_a_result(tmp_path, place):
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        terminal.line(WRITE)
        terminal.wait("may it run?")
        terminal.child.kill(9)
        terminal.child.wait()
    assert kinds(tmp_path) == ["user", "assistant"]
    with shipped(tmp_path, *ALL, "--resume", "last", columns=100) as terminal:
        terminal.wait("a tool call has no result yet")
        terminal.ready()
        terminal.line("hello")
        terminal.answered()
        terminal.leave()
    assert kinds(tmp_path) == ["user", "assistant", "tool", "user", "assistant"]
    assert results(tmp_path) == ["not run: the user said something else"]
    assert not list(written(place))


def test_what_is_typed_while_a_tool_runs_goes_in_at_the_next_step(tmp_path, place):
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        terminal.line("run the command sleep 3")
        terminal.wait(lambda: re.search(r"may it run\?|running shell", terminal.text()))
        if "may it run?" in terminal.text():
            terminal.line("y")
        terminal.wait("running shell")
        terminal.line("hello")
        terminal.wait("queued: hello")
        terminal.answered()
        assert "you> hello" in terminal.rows()
        terminal.leave()
    assert kinds(tmp_path)[-3:] == ["tool", "user", "assistant"]
    rows = [row for row in _rows(tmp_path) if isinstance(row.entry, Message)]
    assert next_step(rows) == AwaitUser("answered")


def _rows(home: Path):
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        return store.path(store.list_sessions(1)[0].id)


def _running(words: str, place: Path) -> list[str]:
    """Return the processes that work in the folder with these words in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in line and os.readlink(entry / "cwd") == str(place):  # noqa: PTH115
                found.append(line)
        except OSError:
            continue
    return found


def test_tools_are_turned_on_and_off(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("/tools")
        terminal.wait("read_file(path, start, end)")
        terminal.line("/tools +shell -read_file")
        terminal.wait("shell(command)")
        terminal.line("/tools off")
        terminal.wait(lambda: "off: python, shell, read_file" in terminal.text())
        terminal.line("/tools nothing")
        terminal.wait("there is no tool 'nothing'")
        terminal.line("list the files")
        terminal.answered()
        terminal.leave()
    assert kinds(tmp_path) == ["user", "assistant"]


@pytest.mark.parametrize(
    ("args", "config", "said"),
    [
        (("--consent", "maybe"), "", "there is no preset 'maybe'"),
        (("--tools", "read_fil"), "", "did you mean 'read_file'?"),
        ((), '[[consent.rules]]\nthen = "perhaps"\n', "line 2: rule 1 must say what to do"),
    ],
)
def test_what_is_wrong_with_the_rules_is_said_and_ends_the_start(tmp_path, args, config, said):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(config)
    with shipped(tmp_path, *args, columns=200) as terminal:
        terminal.wait(said)
        assert terminal.ended() == 2


def test_no_sandbox_is_said_loudly(tmp_path, place):
    with shipped(tmp_path, "--no-sandbox", "--tools", "shell", columns=100) as terminal:
        terminal.wait("NO SANDBOX")
        terminal.ready()
        terminal.line("/tools")
        terminal.wait("programs run in: NO SANDBOX")
        terminal.leave()


def test_undo_puts_files_back(tmp_path, place):
    with shipped(tmp_path, *ALL, columns=100) as terminal:
        terminal.ready()
        terminal.line(WRITE)
        terminal.wait("may it run?")
        terminal.line("y")
        terminal.answered()
        (made,) = written(place)
        terminal.line("/undo")
        terminal.wait(f"{made.name}: removed")
        assert not made.exists()
        terminal.leave()


def test_plain_lines_show_what_a_command_prints_as_it_comes(tmp_path, place):
    with shipped(tmp_path, *ALL, "--plain", "--consent", "auto") as terminal:
        terminal.wait("you>")
        terminal.line("run ls")
        terminal.wait("reused,")
        assert "notes.txt\n[result] shell: 1 line\n" in terminal.text()
        terminal.send("\x04")
        assert terminal.ended() == 0


def test_plain_lines_ask_too(tmp_path, place):
    with shipped(tmp_path, *ALL, "--plain") as terminal:
        terminal.wait("you>")
        terminal.line(WRITE)
        terminal.wait("may it run?")
        terminal.line("perhaps")
        terminal.line("y")
        terminal.wait("reused,")
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert [path.read_text() for path in written(place)] == ["hello"]


def test_a_resumed_session_shows_its_calls(tmp_path, place):
    with shipped(tmp_path, columns=100) as terminal:
        terminal.ready()
        terminal.line("list the files")
        terminal.answered()
        terminal.leave()
    with shipped(tmp_path, "--resume", "last", columns=100) as terminal:
        terminal.wait("[result] list_files")
        assert "session 1 resumed, capture off, /help lists the commands" in terminal.rows()
        assert "[call] list_files({})" in terminal.rows()
        terminal.leave()

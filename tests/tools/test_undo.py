"""What calls did to files is undone and done again, from the log alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.tools.test_restore import PATCH, tree

from palaver.core.log import CallStarted, Entry, Row
from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.core.tool import ToolContext
from palaver.tools import undo
from palaver.tools.toolbox import Box, load

BOX = Box(load(["write_file", "apply_patch"]))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "from.txt").write_text("x\n")
    (tmp_path / "from.txt").chmod(0o600)
    (tmp_path / "gone.sh").write_text("#!/bin/sh\n")
    (tmp_path / "gone.sh").chmod(0o750)
    return tmp_path


def rows(*entries: Entry) -> list[Row]:
    return [Row(i + 1, 1, i or None, 0.0, entry) for i, entry in enumerate(entries)]


def done(root: Path, *calls: tuple[str, dict[str, str]]) -> list[Row]:
    """Run calls, each in an answer of its own and all with one id, as models give them."""
    entries: list[Entry] = []
    context = ToolContext(root, lambda _text: None, str)
    for name, arguments in calls:
        call = ToolCall("call_1", name, json.dumps(arguments))
        entries.append(Message("assistant", (call,), "end"))
        changes = asyncio.run(BOX.changes(call, context))
        entries.append(CallStarted(call.id, name, str(root), changes))
        result = asyncio.run(BOX.run(call, context))
        assert not result.failed, result.text
        entries.append(Message("tool", (result,)))
    return rows(*entries)


def write(path: str, content: str) -> tuple[str, dict[str, str]]:
    return "write_file", {"path": path, "content": content}


def redone(log: list[Row]) -> list[str]:
    return asyncio.run(undo.redo(log))


def test_back_and_forth(root):
    before = tree(root)
    log = done(
        root, write("a.txt", "mine"), write("a.txt", "one\n"), ("apply_patch", {"patch": PATCH})
    )
    after = tree(root)
    for _ in range(2):
        assert "a.txt: restored" in undo.undo(log)
        assert tree(root) == before
        assert "to.txt: changed again" in redone(log)
        assert tree(root) == after


def test_what_was_never_put_back_is_left_alone(root):
    log = done(root, write("a.txt", "mine"), write("a.txt", "mine again"))
    after = tree(root)
    assert redone(log) == []
    assert tree(root) == after


def test_what_the_user_changed_meanwhile_stays(root):
    log = done(root, write("a.txt", "mine"), write("new.txt", "new"))
    undo.undo(log)
    (root / "a.txt").write_text("the user's")
    assert redone(log) == [
        "a.txt: not changed again, it is not as the call found it", "new.txt: changed again",
    ]  # fmt: skip
    assert (root / "a.txt").read_text() == "the user's"


def test_a_patch_is_made_again_whole_or_not(root):
    log = done(root, ("apply_patch", {"patch": PATCH}))
    undo.undo(log)
    (root / "gone.sh").write_text("the user's")
    before = tree(root)
    assert all("not changed again" in line for line in redone(log))
    assert tree(root) == before


def test_git_is_left_as_it_is(root):
    import subprocess

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout

    git("init", "-q")
    git("add", ".")
    log = done(root, write("a.txt", "mine"))
    before = tree(root / ".git")
    undo.undo(log)
    redone(log)
    undo.undo(log)
    assert tree(root / ".git") == before


def programs(result: ToolResult | None) -> list[Row]:
    call = ToolCall("call_1", "shell", "{}")
    ended = [Message("tool", (result,))] if result else []
    return rows(Message("assistant", (call,), "end"), CallStarted("call_1", "shell"), *ended)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ToolResult("call_1", "shell", "", changed="a.txt"), ["not undone: shell changed a.txt"]),
        (ToolResult("call_1", "shell", "", changed=""), []),
        (ToolResult("call_1", "shell", "stopped"), ["not undone: what shell did"]),
        (None, ["not undone: what shell did"]),
    ],
)
def test_what_programs_did_is_said(result, said):
    assert undo.undo(programs(result)) == said

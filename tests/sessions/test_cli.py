"""`palaver sessions` and `palaver capture`, run as a user runs them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pexpect
import pytest

from palaver.core.messages import assistant, user
from palaver.sessions.store import Store

from .stores import talk, texts


@pytest.fixture
def home(tmp_path):
    with Store(tmp_path / "home" / "data" / "palaver.db") as store:
        talk(store, store.create_session("first"), [("hello zebra", "hi\x1b[31m")])
        session = store.create_session()
        talk(store, session, [("untitled", "yes"), ("more", "no")])
        store.mark(4, "good")
    return tmp_path / "home"


@pytest.fixture
def palaver(home):
    def run(*args, code=0, stdin=""):
        done = subprocess.run(
            [sys.executable, "-m", "palaver.cli.main", *map(str, args)],
            env=os.environ | {"PALAVER_HOME": str(home)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_list_show_and_search(palaver):
    lines = palaver("sessions").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["2", "1"]
    assert lines[0].endswith("4 messages  untitled")
    assert palaver("sessions", "list", "-n", 1).stdout.splitlines() == lines[:1]
    assert palaver("sessions", "show", 1).stdout == (
        "# first\n\n## You\n\n> hello zebra\n\n## Assistant\n\n> hi\\u001b[31m\n"
    )
    assert palaver("sessions", "show", "last", "--branches").stdout == "*     6  assistant   no\n"
    (hit,) = palaver("sessions", "search", "zebra").stdout.splitlines()
    assert hit.endswith("user        hello zebra")
    assert palaver("sessions", "search", "nowhere").stderr == "Nothing was found.\n"
    assert "no session 9" in palaver("sessions", "show", 9, code=2).stderr
    assert "'x' is no session" in palaver("sessions", "show", "x", code=2).stderr


def test_a_new_user_has_no_sessions(palaver, home):
    for path in (home / "data").iterdir():
        if path.is_file():
            path.unlink()
    assert palaver("sessions").stderr == "There is no session yet.\n"


def test_export_and_import(palaver, tmp_path, home):
    for name, session in (("a.json", 1), ("a.jsonl", "all"), ("a.md", 2)):
        path = tmp_path / name
        palaver("sessions", "export", session, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "there already" in palaver("sessions", "export", 1, path, code=2).stderr
    assert (tmp_path / "a.md").read_text().startswith("# untitled\n\n## You\n\n> untitled\n")
    done = palaver("sessions", "import", tmp_path / "a.json", tmp_path / "a.jsonl")
    assert done.stdout == ("session 3: 2 messages\nsession 4: 2 messages\nsession 5: 4 messages\n")
    bad = tmp_path / "bad.json"
    bad.write_text('[{"role": "user", "content": ""}, 7]')
    done = palaver("sessions", "import", tmp_path / "a.json", bad, code=2)
    assert "bad.json, message 2" in done.stderr
    with Store(home / "data" / "palaver.db") as store:
        assert len(store.list_sessions()) == 5
        assert texts(store, 5) == ["untitled", "yes", "more", "no"]


def test_one_session_is_forked_at_a_time(palaver):
    assert "session 3 goes on from 2" in palaver("sessions", "fork", "last").stderr
    assert "Only one session" in palaver("sessions", "fork", "all", code=2).stderr


def test_delete_asks(palaver):
    asked = palaver("sessions", "delete", 1, stdin="n\n", code=130)
    assert asked.stderr.endswith("1  2 messages  first\n")
    assert "Delete this session for good?" in asked.stdout
    assert len(palaver("sessions").stdout.splitlines()) == 2
    palaver("sessions", "delete", 1, "--yes")
    assert [line.split()[0] for line in palaver("sessions").stdout.splitlines()] == ["2"]


def test_backup_and_salvage(palaver, home, tmp_path):
    copy = tmp_path / "copy.db"
    palaver("sessions", "backup", copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with Store(copy) as store:
        assert texts(store, 2) == ["untitled", "yes", "more", "no"]
        assert store.search("zebra")
        store.append(2, store.tip(2), user("a backup is a store"))
    assert "there already" in palaver("sessions", "backup", copy, code=2).stderr
    store = home / "data" / "palaver.db"
    data = bytearray(store.read_bytes())
    data[:50] = bytes(50)
    store.write_bytes(data)
    done = palaver("sessions", code=1)
    assert f"{store} is damaged" in done.stderr
    assert f"palaver sessions salvage {store}" in done.stderr
    done = palaver("sessions", "salvage", store, tmp_path / "new.db")
    assert done.stderr.startswith("2 sessions, 6 entries.\n")
    with Store(tmp_path / "new.db") as saved:
        assert texts(saved, 2) == ["untitled", "yes", "more", "no"]


def test_capture(palaver, tmp_path):
    out = tmp_path / "out.jsonl"
    done = palaver("capture", "all", "--output", out)
    assert done.stderr.startswith("session 1: saved 2 messages\nsession 2: saved 4 messages\n")
    assert f"{out}: 2 of 2 conversations written" in done.stderr
    again = palaver("capture", "all", "--output", out)
    assert again.stderr == f"{out}: 0 of 2 conversations written, the others were there\n"
    assert "already saved" in palaver("capture", 1, "--output", out).stderr
    assert [len(json.loads(line)["messages"]) for line in out.read_text().splitlines()] == [2, 4]
    good = palaver("capture", "--good-only", 2)
    assert [m["content"] for m in json.loads(good.stdout)["messages"]] == ["untitled", "yes"]
    assert palaver("capture", "--good-only", 1).stderr == (
        "session 1: nothing to save: a record needs two messages; left out 1 turn that is not"
        " marked good\n"
    )
    (tmp_path / "kb").write_text("KB")
    (tmp_path / "kernel").write_text("KERNEL")
    (tmp_path / "empty").write_text("")
    signed = palaver("capture", 1, "--kb", tmp_path / "kb", "--kernel", tmp_path / "kernel")
    said = json.loads(signed.stdout)["messages"][0]["content"]
    assert said.startswith(
        "Name: Ethics Experiment\nKB:\nKB\n\n---\n\nhello zebra\n\n---\n\nKERNEL\n\n"
    )
    one = palaver("capture", 1, "--kb", tmp_path / "kb", code=2)
    assert "--kernel is missing" in one.stderr
    empty = palaver("capture", 1, "--kb", tmp_path / "kb", "--kernel", tmp_path / "empty", code=2)
    assert "empty" in empty.stderr
    assert "appended to" in palaver("capture", 1, "--output", tmp_path / "no" / "x", code=2).stderr


def test_a_terminal_sees_no_control_characters(home):
    with Store(home / "data" / "palaver.db") as store:
        store.append(1, store.tip(1), assistant("\x9b31m \u202e title"))
        store.set_title(2, "a\x1b]0;evil\x07b")
    for args in (["sessions"], ["sessions", "search", "title"], ["capture", "all"],
                 ["sessions", "export", "all", "--format", "jsonl"]):  # fmt: skip
        child = pexpect.spawn(
            sys.executable,
            ["-m", "palaver.cli.main", *args],
            env=os.environ | {"PALAVER_HOME": str(home)},
            encoding="utf-8",
            timeout=60,
        )
        shown = child.read()
        child.wait()
        assert shown.strip()
        assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}

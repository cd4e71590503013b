"""What calls and commands printed while they ran, in the store."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from palaver.core.log import CallStarted, Notice, Printed
from palaver.core.messages import Message, ToolCall, ToolResult, user
from palaver.sessions.store import Store

BEGUN = CallStarted("c1", "shell")
CODE = """
import os, sys
from pathlib import Path
from palaver.core.log import CallStarted
from palaver.core.messages import user
from palaver.sessions.store import Store
store = Store(Path(sys.argv[1]))
session = store.create_session()
asked = store.append(session, None, user("go"))
begun = store.append(session, asked.id, CallStarted("c1", "shell"))
other = store.append(session, begun.id, CallStarted("c2", "shell"))
for text in ("one\\n", "two \\ud800\\n"):
    store.printed(session, begun.id, text)
    store.printed(session, other.id, text.upper())
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "palaver.db"


def test_what_was_printed_when_the_process_died_is_an_entry_once(path):
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    for _ in range(2):
        with Store(path) as store:
            assert store.recover(1) is None
            found = [row.entry for row in store.path(1)[3:]]
            assert found == [Printed("c1", "one\ntwo ?\n"), Printed("c2", "ONE\nTWO ?\n")]
            assert [hit.kind for hit in store.search("two")] == ["printed", "printed"]


def test_a_result_ends_what_its_call_printed_and_nothing_else(path):
    with Store(path) as store:
        session = store.create_session()
        asked = store.append(session, None, user("go"))
        call = ToolCall("c1", "shell", "{}"), ToolCall("c2", "shell", "{}")
        said = store.append(session, asked.id, Message("assistant", call, "end"))
        first = store.append(session, said.id, BEGUN)
        second = store.append(session, first.id, CallStarted("c2", "shell"))
        store.printed(session, first.id, "of the first")
        store.printed(session, second.id, "of the second")
        result = Message("tool", (ToolResult("c1", "shell", "of the first"),))
        store.append(session, second.id, result)
    with Store(path) as store:
        store.claim(session)
        assert store.path(session)[-1].entry == Printed("c2", "of the second")


def test_what_a_proposed_command_printed_goes_to_the_model_either_way(path):
    with Store(path) as store:
        session = store.create_session()
        begun = store.append(session, None, Notice("info", "CMD: make was begun"))
        store.printed(session, begun.id, "built")
        store.append(session, begun.id, Notice("exec", "$ make\nbuilt"))
        again = store.append(session, store.tip(session), Notice("info", "CMD: run was begun"))
        store.printed(session, again.id, "half")
    with Store(path) as store:
        store.claim(session)
        kept = store.path(session)[-1].entry
        text = "CMD: run was begun\nhalf\n[palaver ended while this ran]"
        assert kept == Notice("exec", text)
        assert len(store.path(session)) == 4


def test_deleting_a_session_removes_what_was_printed(path):
    with Store(path) as store:
        session = store.create_session()
        begun = store.append(session, None, BEGUN)
        store.printed(session, begun.id, "narwhal")
        store.delete(session)
        for file in path.parent.rglob("*"):
            assert not file.is_file() or b"narwhal" not in file.read_bytes()


def test_what_was_printed_by_something_that_was_lost_is_kept_once(path):
    with Store(path) as store:
        session = store.create_session()
        store.append(session, None, user("go"))
        store.printed(session, 0, "half")
    for _ in range(2):
        with Store(path) as store:
            store.claim(session)
            last = Notice("exec", "half\n[palaver ended while this ran]")
            assert [row.entry for row in store.path(session)] == [user("go"), last]

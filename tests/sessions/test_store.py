"""What a store promises beside its tree: syncs, modes, journal, deleting, locks."""

from __future__ import annotations

import asyncio
import os
import stat
import sys

import pytest

from palaver.core.errors import StoreError, UserError
from palaver.core.generation import Generation, Sampling, Timings
from palaver.core.messages import Message, Reasoning, Text, ToolCall, assistant, user
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store

from .stores import CountingVFS, python, talk, texts


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "palaver.db"


@pytest.fixture
def store(path):
    with Store(path) as opened:
        yield opened


def test_a_turn_is_two_syncs_and_none_between_tokens(path):
    vfs = CountingVFS("counting")
    with Store(path, vfs="counting") as store:
        session = store.create_session()
        talk(store, session, [("hello", "hi")])
        store.tidy()
        for _ in range(3):
            vfs.syncs.clear()
            asked = store.append(session, store.tip(session), user("and now? " * 50))
            assert vfs.syncs == ["palaver.db-wal"]
            for seq in range(500):
                store.journal_append(session, asked.id, seq, "text", f"token {seq} ")
            assert vfs.syncs == ["palaver.db-wal"]
            store.append(session, asked.id, assistant("token " * 500))
            assert vfs.syncs == ["palaver.db-wal"] * 2
    vfs.unregister()


def test_files_are_private_whatever_the_umask(path):
    before = os.umask(0)
    try:
        with Store(path) as store:
            talk(store, store.create_session(), [("hello", "hi")])
            store.journal_append(1, 2, 0, "text", "x")
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
            lock = path.with_name("palaver.db.locks") / "1.lock"
            assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert modes == {
        "palaver.db": 0o600,
        "palaver.db-wal": 0o600,
        "palaver.db-shm": 0o600,
        "palaver.db.locks": 0o700,
    }
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_store_that_others_could_read_is_closed_to_them(path):
    Store(path).close()
    path.chmod(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_in_place_of_the_store_is_refused(path, tmp_path):
    target = tmp_path / "elsewhere.db"
    path.parent.mkdir()
    path.symlink_to(target)
    with pytest.raises(StoreError, match=r"symbolic link[\s\S]*PALAVER_HOME"):
        Store(path)
    assert not target.exists()


def test_a_generation_comes_back_whole(store):
    session = store.create_session("t", "/tmp", "tiny")
    asked = store.append(session, None, user("hi"))
    made = Generation(
        engine="llama-cpp b1",
        model="tiny",
        grew_from=asked.id,
        kept=3,
        added=(0, 1, 151_643, 2**32 - 1),
        sampled=2,
        raw="<think>\n",
        exact=False,
        sampling=Sampling(temperature=0.0, seed=7, stop=("a", "b")),
        timings=Timings(reused=5, ttft=0.25),
    )
    store.append(session, asked.id, assistant("hello"), made)
    assert store.path(session)[-1].generation == made
    assert store.path(session)[0].generation is None


def test_an_answer_under_way_when_the_process_died_comes_back(path):
    code = """
import os, sys
from pathlib import Path
from palaver.core.messages import user
from palaver.sessions.store import Store
store = Store(Path(sys.argv[1]))
session = store.create_session()
asked = store.append(session, None, user("question"))
for seq, (kind, text) in enumerate([("reasoning", "hm"), ("reasoning", "m"), ("text", "An "),
        ("text", "answ"), ("call", "\\npython {"), ("call", '"code": "1'),
        ("call", "\\nbrowser.open ")]):
    store.journal_append(session, asked.id, seq, kind, text)
os.kill(os.getpid(), 9)
"""
    other = python(code, path)
    other.communicate(timeout=30)
    assert other.returncode == -9
    with Store(path) as store:
        row = store.recover(1)
        calls = row.entry.calls
        assert row.entry.parts[:2] == (Reasoning("hmm"), Text("An answ"))
        assert [(call.name, call.arguments) for call in calls] == [
            ("python", '{"code": "1'),
            ("browser.open", ""),
        ]
        assert all(call.error for call in calls)
        assert row.entry.stop == "error"
        assert [r.id for r in store.path(1)] == [1, row.id, row.id + 1]
        assert store.recover(1) is None
    with Store(path) as store:
        assert store.recover(1) is None


def test_a_finished_answer_leaves_no_journal(path):
    with Store(path) as store:
        session = store.create_session()
        asked = store.append(session, None, user("q"))
        store.journal_append(session, asked.id, 0, "text", "par")
        store.append(session, asked.id, assistant("partial", "cancelled"))
    with Store(path) as store:
        assert store.recover(session) is None
        assert texts(store, session) == ["q", "partial"]


def test_going_on_without_recover_loses_nothing(path):
    """A front end that only appends gets the lost answer as a branch."""
    with Store(path) as store:
        session = store.create_session()
        asked = store.append(session, None, user("q"))
        store.journal_append(session, asked.id, 0, "text", "half an ans")
    with Store(path) as store:
        store.append(session, asked.id, assistant("new answer"))
        assert texts(store, session) == ["q", "new answer"]
        assert store.search("half")[0].snippet == "half an ans"


def bytes_on_disk(path):
    return b"".join(p.read_bytes() for p in path.parent.iterdir() if p.is_file())


def test_deleting_removes_the_bytes(path):
    with Store(path) as store:
        kept = store.create_session("kept")
        talk(store, kept, [("ordinary talk about xylophones", "yes") for _ in range(300)])
        secret = store.create_session("quetzalcoatl title")
        rows = talk(
            store, secret, [(f"the zyzzyva{i} word " * 40, "kakapo " * 900) for i in range(20)]
        )
        store.mark(rows[0], "note", "axolotl note")
        store.journal_append(secret, rows[-1], 0, "text", "narwhal streamed")
        store.recover(secret)
        store.journal_append(secret, rows[-1], 0, "text", "narwhal streamed")
        assert b"zyzzyva" in bytes_on_disk(path)
        assert store.delete(secret) == len(rows) + 2
        left = bytes_on_disk(path)
        for word in (b"zyzzyva", b"zyzz", b"quetzalcoatl", b"kakapo", b"axolotl", b"narwhal"):
            assert word not in left
        assert b"xylophone" in left
        assert store.search("kakapo") == []
        assert len(store.search("xylophones", 1000)) == 300
        with pytest.raises(UserError, match="no session"):
            store.path(secret)


def test_a_fork_outlives_what_it_came_from(store):
    first = store.create_session("origin")
    rows = talk(store, first, [("one", "1"), ("two", "2")])
    early, late = store.fork(first, rows[1]), store.fork(first)
    talk(store, early, [("three", "3")])
    assert [store.session(s).messages for s in (first, early, late)] == [4, 4, 4]
    with pytest.raises(UserError, match="no entry"):
        store.append(early, rows[3], user("not on its path"))
    assert store.delete(first) == 0
    assert texts(store, early) == ["one", "1", "three", "3"]
    assert texts(store, late) == ["one", "1", "two", "2"]
    assert store.delete(late) == 2
    assert texts(store, early) == ["one", "1", "three", "3"]
    assert store.session(early).title == "origin"
    assert (store.session(early).messages, store.session(early).preview) == (4, "one")
    assert store.delete(early) == 4
    assert store.list_sessions() == []


def test_one_process_writes_a_session_and_others_read_or_fork(path):
    code = """
import sys
from pathlib import Path
from palaver.core.messages import user
from palaver.sessions.store import Store
store = Store(Path(sys.argv[1]))
session = store.create_session()
store.append(session, None, user("hello"))
print(session, flush=True)
sys.stdin.readline()
"""
    other = python(code, path)
    session = int(other.stdout.readline())
    with Store(path) as store:
        with pytest.raises(UserError, match=rf"process {other.pid}[\s\S]*fork"):
            store.append(session, store.tip(session), user("me too"))
        with pytest.raises(UserError):
            store.delete(session)
        assert texts(store, session) == ["hello"]
        fork = store.fork(session)
        store.append(fork, store.tip(fork), user("me too"))
        other.kill()
        other.communicate()
        store.append(session, store.tip(session), user("now it is free"))
        assert texts(store, session) == ["hello", "now it is free"]
        assert texts(store, fork) == ["hello", "me too"]


def test_a_lock_is_given_back(path):
    with Store(path) as first, Store(path) as second:
        session = first.create_session()
        with pytest.raises(UserError):
            second.claim(session)
        first.release(session)
        second.claim(session)
        with pytest.raises(UserError):
            first.append(session, None, user("x"))
    assert list(path.with_name("palaver.db.locks").iterdir()) == []


def test_many_processes_append_at_once(path):
    code = """
import sys
from pathlib import Path
from palaver.core.messages import user
from palaver.sessions.store import Store
with Store(Path(sys.argv[1])) as store:
    session = store.create_session()
    for i in range(60):
        store.append(session, store.tip(session), user(f"word {i}"))
        store.journal_append(session, store.tip(session), i, "text", "x")
"""
    others = [python(code, path) for _ in range(4)]  # the store itself is made by four at once
    for other in others:
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
    with Store(path) as store:
        assert [s.messages for s in store.list_sessions()] == [60] * 4
        assert store.search("word 7")


def test_marks(store):
    session = store.create_session()
    rows = talk(store, session, [("a", "b")])
    store.mark(rows[1], "bad")
    store.mark(rows[1], "note", "why?")
    store.mark(rows[1], "good", "after all")
    assert [(m.kind, m.text) for m in store.marks(rows)[rows[1]]] == [
        ("bad", ""),
        ("note", "why?"),
        ("good", "after all"),
    ]
    store.unmark(rows[1])
    assert [m.kind for m in store.marks(rows)[rows[1]]] == ["note"]
    with pytest.raises(UserError, match="no entry 99"):
        store.mark(99, "good")


def test_branches_and_children(store):
    session = store.create_session()
    rows = talk(store, session, [("one", "1"), ("two", "2")])
    other = store.append(session, rows[0], assistant("another one"))
    assert store.children(session, rows[0]) == [rows[1], other.id]
    assert [(b.tip, b.current, b.preview) for b in store.branches(session)] == [
        (other.id, True, "another one"),
        (rows[3], False, "2"),
    ]
    store.set_tip(session, None)
    root = store.append(session, None, user("anew"))
    assert store.children(session, None) == [rows[0], root.id]


def test_a_missing_session_is_the_users_error(store):
    for call in (store.path, store.tip, store.recover, store.undo, store.fork, store.delete):
        with pytest.raises(UserError, match="no session 7"):
            call(7)
    with pytest.raises(UserError, match="no session 7"):
        store.append(7, None, user("x"))


def test_the_store_under_way_is_noticed_to_be_gone(store):
    session = store.create_session()
    store.append(session, None, user("kept"))
    store.db.path.rename(store.db.path.with_name("moved.db"))
    with pytest.raises(StoreError, match="moved, replaced or deleted"):
        store.append(session, None, user("lost?"))


def test_async_store_finishes_what_was_begun_though_the_caller_is_cancelled(path):
    async def run():
        store = await AsyncStore.open(path)
        session = await store.run(Store.create_session, "t")
        first = await store.run(Store.append, session, None, user("one"))
        waiting = asyncio.ensure_future(
            store.run(Store.append, session, first.id, Message("user", (Text("two"),)))
        )
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        rows = await store.run(Store.path, session)
        await store.close()
        await store.close()
        return [row.entry.text for row in rows]

    assert asyncio.run(run()) == ["one", "two"]


def test_async_store_passes_errors_on(tmp_path):
    async def run():
        with pytest.raises(StoreError):
            await AsyncStore.open(tmp_path / "not there.db", readonly=True)
        store = await AsyncStore.open(tmp_path / "a.db")
        with pytest.raises(UserError):
            await store.run(Store.path, 5)
        await store.close()

    asyncio.run(run())


def test_opening_imports_little(path):
    code = """
import sys
from pathlib import Path
from palaver.sessions.store import Store
Store(Path(sys.argv[1])).close()
heavy = {"asyncio", "rich", "click", "prompt_toolkit", "httpx2", "sqlite3", "hashlib", "json"}
print(sorted(heavy & sys.modules.keys()))
"""
    out, errors = python(code, path).communicate(timeout=30)
    assert (out.strip(), errors) == ("[]", ""), sys.version


def test_calls_of_a_recovered_answer_have_numbers(store):
    from palaver.sessions.journal import CUT_CALL, rebuild

    message = rebuild([("call", "{\n  1"), ("call", "}\nb {\nc [")])
    assert message.calls == (
        ToolCall("cut-1", "", "{\n  1}", CUT_CALL),
        ToolCall("cut-2", "b", "{", CUT_CALL),
        ToolCall("cut-3", "c", "[", CUT_CALL),
    )


def test_no_walk_reads_the_whole_table(store):
    """SQLite, left to choose, reads all entries to find a path."""
    session = store.create_session()
    talk(store, session, [("a", "b")] * 300)
    store.db.main.execute("ANALYZE")
    plans = []

    def explain(_cursor, sql, values):
        if "up" in sql and not sql.startswith("EXPLAIN"):
            plan = store.db.main.execute("EXPLAIN QUERY PLAN " + sql, values).fetchall()
            plans.append([step[3] for step in plan])
        return True

    fork = store.fork(session)
    store.db.main.exec_trace = explain
    store.path(session)
    store.undo(session, 2)
    store.path(fork, store.tip(fork))
    store.children(fork, 1)
    store.db.main.exec_trace = None
    assert len(plans) >= 4
    for plan in plans:
        assert not [step for step in plan if step.startswith(("SCAN e", "SCAN entry"))], plan

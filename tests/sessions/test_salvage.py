"""What can be read of a damaged store is copied into a new one."""

from __future__ import annotations

import contextlib
import random

import apsw
import pytest

from palaver.core.errors import StoreError, UserError
from palaver.core.log import CallStarted, Notice
from palaver.sessions import pages
from palaver.sessions.salvage import LOST, salvage
from palaver.sessions.store import Store

from .stores import python, spoil, talk, texts


def test_salvage_copies_everything_of_a_sound_store(small, tmp_path):
    with Store(small) as store:
        before = [
            [(r.id, r.parent, r.at, r.entry, r.generation) for r in store.path(s)]
            for s in (1, 2, 3)
        ]
        sessions = store.list_sessions()
        store.journal_append(2, 26, 0, "text", "under way")
        report = salvage(small, tmp_path / "new" / "palaver.db")  # its log is still in use
    assert (report.sessions, report.lost, report.doubtful, report.answers) == (3, 0, 0, 1)
    with Store(tmp_path / "new" / "palaver.db") as store:
        after = [
            [(r.id, r.parent, r.at, r.entry, r.generation) for r in store.path(s)]
            for s in (1, 2, 3)
        ]
        assert after == before
        assert store.list_sessions() == sessions
        assert [m.kind for m in store.marks([26])[26]] == ["good"]
        assert store.search("fork")
        assert store.recover(2).entry.text == "under way"
        assert store.create_session() == 4
    with pytest.raises(UserError, match="there already"):
        salvage(small, tmp_path / "new" / "palaver.db")


def test_salvage_needs_neither_header_nor_schema(small, tmp_path):
    data = bytearray(small.read_bytes())
    data[:4096] = bytes(4096)
    small.write_bytes(data)
    with pytest.raises(StoreError):
        Store(small)
    report = salvage(small, tmp_path / "new.db")
    assert (report.sessions, report.entries, report.lost) == (3, 28, 0)
    with Store(tmp_path / "new.db") as store:
        assert texts(store, 3)[-2:] == ["only in the fork", "indeed " * 3000]
    assert small.read_bytes() == bytes(data)


def test_salvage_puts_a_notice_where_an_entry_is_lost(small, tmp_path):
    with Store(small) as store:
        row = store.path(1)[5]
        with store.db.writing() as connection:
            connection.execute("UPDATE entry SET body = x'00ff' WHERE id = ?", (row.id,))
    with Store(small) as store, pytest.raises(StoreError, match=r"entry 6[\s\S]*salvage"):
        store.path(1)
    report = salvage(small, tmp_path / "new.db")
    assert (report.sessions, report.entries, report.lost) == (3, 27, 1)
    with Store(tmp_path / "new.db") as store:
        rows = store.path(1)
        assert rows[0].entry == LOST
        assert isinstance(rows[0].entry, Notice)
        assert [r.id for r in rows] == list(range(6, 25))


def test_salvage_keeps_what_two_lost_calls_had_printed(small, tmp_path):
    with Store(small) as store:
        begun = [store.append(2, store.tip(2), CallStarted(f"c{i}", "shell")) for i in range(2)]
        for row in begun:
            store.printed(2, row.id, f"of {row.id}\n")
        with store.db.writing() as connection:
            connection.execute("UPDATE entry SET body = x'00ff' WHERE id >= ?", (begun[0].id,))
    salvage(small, tmp_path / "new.db")
    with Store(tmp_path / "new.db") as store:
        store.claim(2)
        kept = store.path(2)[-1].entry
        assert kept.text.startswith("".join(f"of {row.id}\n" for row in begun))


def test_salvage_leaves_a_session_before_its_beginning_where_it_stood(small, tmp_path):
    with Store(small) as store:
        store.set_tip(2, None)
    salvage(small, tmp_path / "new.db")
    with Store(tmp_path / "new.db") as store:
        assert store.path(2) == []


SALVAGE = """
import resource, signal, sys
from pathlib import Path
from palaver.core.errors import StoreError
from palaver.sessions.salvage import salvage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    salvage(Path(sys.argv[1]), Path(sys.argv[2]))
except StoreError as error:
    print(error.message)
"""


def test_salvage_that_fails_leaves_no_store_behind(small, tmp_path):
    with Store(small) as store:
        talk(store, 1, [("q", "a" * 100_000)] * 5)
    folder = tmp_path / "out"
    out, errors = python(SALVAGE, small, folder / "new.db").communicate(timeout=60)
    assert "full" in out
    assert errors == ""
    assert not (folder / "new.db").exists()
    assert salvage(small, folder / "new.db").lost == 0


def test_salvage_of_mutated_stores_ends_in_a_store_that_opens(small, tmp_path):
    good = small.read_bytes()
    rng = random.Random(5)
    out = 0
    for trial in range(80):
        data = bytearray(good)
        spoil(data, rng)
        bad = tmp_path / f"bad{trial}.db"
        bad.write_bytes(data)
        new = tmp_path / f"new{trial}.db"
        try:
            report = salvage(bad, new)
        except StoreError:
            continue
        out += report.entries
        with Store(new) as store:
            for session in store.list_sessions():
                store.path(session.id)
    assert out > 80 * 28 * 0.9


def test_salvage_of_something_else(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(random.Random(1).randbytes(100_000))
    with pytest.raises(StoreError, match=r"Nothing in .*other can be read"):
        salvage(other, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(StoreError, match="missing"):
        salvage(tmp_path / "missing", tmp_path / "new.db")


def test_pages_agree_with_sqlite(tmp_path):
    path = tmp_path / "any.db"
    rng = random.Random(3)
    odd = (None, 0, 1, -1, 127, -(2**31), 2**47, 2**62, 0.5, "ä" * 2500, "")
    sizes = (0, 5, 4000, 4061, 4062, 20000)
    rows = [(i, rng.choice(odd), rng.randbytes(rng.choice(sizes))) for i in range(1, 300)]
    raw = apsw.Connection(str(path))
    with contextlib.closing(raw):
        raw.pragma("journal_mode", "wal")
        raw.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)")
        raw.executemany("INSERT INTO t VALUES(?,?,?)", rows[:150])
        raw.wal_checkpoint()
        raw.executemany("INSERT INTO t VALUES(?,?,?)", rows[150:])
        found = pages.Pages(path)
        table = {rowid: columns for kind, rowid, columns in found.rows() if len(columns) == 3}
    assert table == {i: [None, a, b] for i, a, b in rows}

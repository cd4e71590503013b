"""Stores that are damaged, foreign, newer, read-only or on a full disk: said, never overwritten."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from pathlib import Path

import apsw
import pytest

from palaver.core.errors import StoreError, UserError
from palaver.core.generation import Generation
from palaver.core.log import Notice
from palaver.core.messages import assistant, user
from palaver.sessions import pages
from palaver.sessions.salvage import LOST, salvage
from palaver.sessions.store import Store

from .stores import python, talk, texts


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "palaver.db"


@pytest.fixture
def small(path):
    """A store of two sessions and a fork, closed."""
    with Store(path) as store:
        first = store.create_session("first", "/home", "tiny")
        talk(store, first, [(f"question {i}", f"answer {i} " * 30) for i in range(12)])
        second = store.create_session("second")
        asked = store.append(second, None, user("with ids"))
        made = store.append(second, asked.id, assistant("yes"), Generation("e", "m", added=(1, 2)))
        store.mark(made.id, "good")
        fork = store.fork(first)
        talk(store, fork, [("only in the fork", "indeed " * 3000)])
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"I am a text file.\n" * 100, "damaged.*not a database"),
        (b"SQLite format 3\0" + bytes(200), "damaged.*not a database"),
    ],
)
def test_what_is_no_store_is_left_alone(path, content, said):
    path.parent.mkdir()
    path.write_bytes(content)
    for readonly in (False, True):
        with pytest.raises(StoreError, match=said) as caught:
            Store(path, readonly=readonly)
        assert str(path) in str(caught.value)
        assert "salvage" in caught.value.fix
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_alone(path):
    path.parent.mkdir()
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE cookies(a)")
    other.close()
    before = path.read_bytes()
    for readonly in (False, True):
        with pytest.raises(StoreError, match=r"another program[\s\S]*PALAVER_HOME"):
            Store(path, readonly=readonly)
    assert path.read_bytes() == before


def test_a_newer_store_is_left_alone(small):
    with apsw.Connection(str(small)) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    before = small.read_bytes()
    for readonly in (False, True):
        with pytest.raises(StoreError, match=r"newer palaver[\s\S]*Update"):
            Store(small, readonly=readonly)
    assert small.read_bytes() == before


def test_an_empty_file_becomes_a_store_but_not_beside_a_log(path):
    path.parent.mkdir()
    path.touch()
    Store(path).close()
    path.unlink()
    log = path.with_name("palaver.db-wal")
    log.write_bytes(b"words that were said" * 300)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"palaver\.db-wal holds data"):
            Store(path)
    assert log.read_bytes() == b"words that were said" * 300
    assert not path.exists()


def test_reading_only(small):
    with Store(small, readonly=True) as store:
        assert len(store.list_sessions()) == 3
        assert store.search("fork")
        for call in (lambda: store.append(1, None, user("x")), store.create_session, store.tidy):
            with pytest.raises(StoreError, match="reading only"):
                call()
    with pytest.raises(StoreError, match="no session store"):
        Store(small.with_name("other.db"), readonly=True)


AS_NOBODY = """
import os, sys
from pathlib import Path
from palaver.core.errors import StoreError
from palaver.sessions.store import Store
os.setgid(65534); os.setuid(65534)
path = Path(sys.argv[1])
with Store(path, readonly=True) as store:
    print(len(store.list_sessions()), flush=True)
try:
    with Store(path) as store:
        store.create_session()
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize("mode", [0o555, 0o777])
def test_a_store_that_may_not_be_written(small, mode):
    for folder in (small.parent, *small.parent.parents[:-2]):
        folder.chmod(0o755)
    small.chmod(0o444)
    small.parent.chmod(mode)
    out, errors = python(AS_NOBODY, small).communicate(timeout=30)
    assert errors == ""
    first, rest = out.split("\n", 1)
    assert first == "3"
    assert str(small) in rest
    assert "PALAVER_HOME" in rest


FILL = """
import resource, sys
from pathlib import Path
from palaver.core.errors import StoreError
from palaver.core.messages import user
from palaver.sessions.store import Store
path, limit = Path(sys.argv[1]), int(sys.argv[2])
store = Store(path)
session = store.create_session()
store.append(session, None, user("word 0"))
if limit:
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
said = 0
try:
    while True:
        said += 1
        store.append(session, store.tip(session), user(f"word {said} " + "x" * 20000))
except StoreError as error:
    print(error)
for row in store.path(session)[-1:]:
    print(row.entry.text.split()[1], said)
try:
    store.journal_append(session, None, 0, "text", "y" * 100000)
except StoreError as error:
    print(error.message)
"""


def check_filled(path, out, errors):
    assert errors == ""
    lines = out.splitlines()
    assert "full" in lines[0]
    assert str(path) in lines[0]
    assert "Free some space" in lines[1]
    last, said = map(int, lines[2].split())
    assert last == said - 1  # each word that was acknowledged, none that was not
    assert "full" in lines[3]
    return last


def test_a_disk_that_refuses_more(path):
    out, errors = python(FILL, path, 2_000_000).communicate(timeout=60)
    last = check_filled(path, out, errors)
    with Store(path) as store:
        assert len(store.path(1)) == last + 1
        store.append(1, store.tip(1), user("there is room again"))


@contextlib.contextmanager
def small_disk(disk: Path):
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "fill").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_store_that_was_closed_is_read_on_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk):
        path = disk / "data" / "palaver.db"
        with Store(path) as store:
            talk(store, store.create_session(), [("kept", "yes")])
        fill(disk)
        with Store(path, readonly=True) as store:
            assert texts(store, 1) == ["kept", "yes"]
        with pytest.raises(StoreError, match="full"), Store(path) as store:
            store.create_session()
        (disk / "fill").unlink()
        with Store(path) as store:
            store.append(1, store.tip(1), user("there is room again"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk):
        path = disk / "data" / "palaver.db"
        out, errors = python(FILL, path, 0).communicate(timeout=60)
        last = check_filled(path, out, errors)
        with Store(path, readonly=True) as store:
            assert len(store.path(1)) == last + 1
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        with Store(path) as store:
            store.append(1, store.tip(1), user("there is room again"))
            assert len(store.path(1)) == last + 2


def spoil(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 3, 50])):
        place = rng.randrange(len(data))
        if rng.random() < 0.7:
            data[place] ^= 1 << rng.randrange(8)
        else:
            length = min(rng.randrange(1, 3000), len(data) - place)
            data[place : place + length] = bytes(length)


def use(path: Path) -> None:
    with Store(path) as store:
        for session in store.list_sessions():
            store.path(session.id)
            store.branches(session.id)
        store.search("answer")
        new = store.create_session()
        store.append(new, None, user("and on"))


def test_damage_is_a_clear_error_or_none_and_no_text_changes(small, tmp_path):
    with Store(small) as store:
        whole = {row.id: row.entry for s in (1, 2, 3) for row in store.path(s)}
    good = small.read_bytes()
    rng = random.Random(11)
    clear = 0
    for trial in range(150):
        data = bytearray(good)
        spoil(data, rng)
        path = tmp_path / f"t{trial}" / "palaver.db"
        path.parent.mkdir()
        path.write_bytes(data)
        try:
            use(path)
        except (StoreError, UserError) as error:
            clear += bool(error.message)  # any other exception fails the test
        try:
            with Store(path, readonly=True) as store:
                for session in store.list_sessions():
                    for row in store.path(session.id):
                        assert row.id not in whole or row.entry in (whole[row.id], user("and on"))
        except (StoreError, UserError):
            pass
    assert clear > 50


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

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
from palaver.core.messages import user
from palaver.sessions.store import Store

from .stores import python, spoil, talk, texts


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


BEGIN = """
import resource, signal, sys
from pathlib import Path
from palaver.core.errors import StoreError
from palaver.sessions.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    Store(Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""


def test_a_store_that_a_full_disk_let_begin_and_no_more(path):
    out, errors = python(BEGIN, path).communicate(timeout=60)
    assert "Free some space" in out, errors
    with pytest.raises(StoreError, match="holds nothing yet"):
        Store(path, readonly=True)
    with Store(path) as store:
        assert store.create_session() == 1


LONG_LOG = """
import resource, signal, sys
from pathlib import Path
from palaver.core.messages import user
from palaver.sessions import database
from palaver.sessions.store import Store
database.LOG_PAGES = 100
with Store(Path(sys.argv[1])) as store:
    session = store.create_session()
    def say():
        store.append(session, store.tip(session), user("x" * 20000), durable=False)
    for _ in range(60):
        say()
    store.tidy()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = store.db.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    for _ in range(10):
        say()
    print(len(store.path(session)))
"""


def test_a_log_that_can_not_be_moved_into_the_file_loses_no_entry(path):
    out, errors = python(LONG_LOG, path).communicate(timeout=60)
    assert (out, errors) == ("70\n", "")


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


def test_a_lock_that_can_not_be_removed_is_given_back_all_the_same(path):
    locks = path.with_name("palaver.db.locks")
    with Store(path) as store:
        session = store.create_session()
        locks.rename(path.with_name("away"))
        locks.touch()
    locks.unlink()
    path.with_name("away").rename(locks)
    with Store(path) as store:
        store.claim(session)

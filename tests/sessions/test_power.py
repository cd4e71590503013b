"""Simulated power cuts: what was synced is on the disk, of the rest any part may be.

A VFS writes down each write and sync; a state after a cut is made of it: all writes before a
file's last sync, then a random part of those after it, some torn at a sector. It is assumed
that a file's existence is durable once SQLite synced it.
"""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from palaver.core.messages import assistant, user
from palaver.sessions.store import Store

from .stores import texts

SECTOR = 512


class LoggingFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        self._log = vfs.log
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name).name
        super().__init__(vfs.below, name, flags)

    def xWrite(self, data, offset):  # noqa: N802 - SQLite's name
        self._log.append((self._name, "write", offset, bytes(data)))
        return super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802
        self._log.append((self._name, "truncate", size, b""))
        return super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802
        result = super().xSync(flags)
        self._log.append((self._name, "sync", 0, b""))
        return result


class LoggingVFS(apsw.VFS):
    def __init__(self, name):
        self.below = apsw.vfs_names()[0]
        self.log = []
        super().__init__(name, self.below)

    def xOpen(self, name, flags):  # noqa: N802
        return LoggingFile(self, name, flags)

    def xDelete(self, name, sync):  # noqa: N802
        self.log.append((Path(name).name, "delete", 0, b""))
        return super().xDelete(name, sync)


def apply(content: bytearray, kind: str, place: int, data: bytes) -> None:
    if kind == "truncate":
        del content[place:]
        content.extend(bytes(max(0, place - len(content))))
    elif kind == "write":
        content.extend(bytes(max(0, place - len(content))))
        content[place : place + len(data)] = data


def after_cut(log, cut, rng, folder):
    """Write the files as a power cut after `cut` operations may leave them."""
    for name in {entry[0] for entry in log[:cut]}:
        mine = [entry for entry in log[:cut] if entry[0] == name]
        gone = max((i for i, entry in enumerate(mine) if entry[1] == "delete"), default=-1)
        mine = mine[gone + 1 :]
        if not mine:
            continue
        synced = max((i for i, entry in enumerate(mine) if entry[1] == "sync"), default=-1)
        content = bytearray()
        lucky = rng.random()
        for i, (_, kind, place, data) in enumerate(mine):
            if i > synced:
                if rng.random() > lucky:
                    continue
                if kind == "write" and rng.random() < 0.3:
                    data = data[: rng.randrange(0, len(data) + 1, min(SECTOR, len(data)))]
            apply(content, kind, place, data)
        (folder / name).write_bytes(content)


@pytest.fixture
def history(tmp_path):
    """A log of operations, and what was acknowledged after how many of them."""
    vfs = LoggingVFS("logging")
    acknowledged = []
    with Store(tmp_path / "palaver.db", vfs="logging") as store:
        first = len(vfs.log)
        for turn in range(40):
            if turn % 10 == 0:
                session = store.create_session()
            asked = store.append(session, store.tip(session), user(f"question {turn} " * 40))
            acknowledged.append((len(vfs.log), asked.id, asked.entry.text))
            for seq in range(5):
                store.journal_append(session, asked.id, seq, "text", f"word {seq} ")
            done = store.append(session, asked.id, assistant(f"answer {turn} " * 60))
            acknowledged.append((len(vfs.log), done.id, done.entry.text))
            if turn % 7 == 6:
                store.tidy()
            if turn % 17 == 16:
                gone = store.fork(session, asked.id)
                store.delete(gone)
        log = list(vfs.log)
    vfs.unregister()
    return log, first, acknowledged


def test_a_power_cut_loses_nothing_that_was_durable(history, tmp_path):
    log, first, acknowledged = history
    rng = random.Random(2)
    held = 0
    for trial in range(80):
        cut = rng.randrange(first, len(log) + 1)
        folder = tmp_path / f"t{trial}"
        folder.mkdir()
        after_cut(log, cut, rng, folder)
        with Store(folder / "palaver.db") as store:
            assert store.db.main.pragma("integrity_check") == "ok"
            found = {}
            for session in store.list_sessions():
                found |= {row.id: row.entry for row in store.path(session.id)}
                store.recover(session.id)
                assert texts(store, session.id)
        for when, row, text in acknowledged:
            if when <= cut:
                assert found[row].text == text
                held += 1
    assert held > 500


def test_the_trial_sees_what_is_lost(history, tmp_path):
    """Without the syncs the same cuts lose words: the trial can fail."""
    log, first, acknowledged = history
    log = log[:first] + [e for e in log[first:] if e[1] != "sync"]
    rng = random.Random(2)
    lost = 0
    for trial in range(20):
        folder = tmp_path / f"t{trial}"
        folder.mkdir()
        after_cut(log, len(log), rng, folder)
        raw = apsw.Connection(str(folder / "palaver.db"))
        try:
            rows = raw.execute("SELECT count(*) FROM entry").get
        except apsw.Error:
            rows = 0
        raw.close()
        lost += rows < len(acknowledged)
    assert lost > 10

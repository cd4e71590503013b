"""A file of records is whole whatever happens while it is appended to."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.capture.append import append_records, check_writable, digest
from palaver.core.errors import UserError

RECORDS = [
    json.dumps({"messages": [{"role": "user", "content": "ü" * n}]}).encode() for n in range(1, 9)
]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), zeros=st.integers(0, 20))
def test_a_torn_tail_is_cut_and_takes_nothing_with_it(tmp_path_factory, cut, zeros):
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    path.unlink(missing_ok=True)
    append_records(path, RECORDS[:4])
    whole = path.read_bytes()
    torn = whole[: min(cut, len(whole))]
    path.write_bytes(torn + (b"\0" * zeros if not torn.endswith((b"\n", b"}")) else b""))
    append_records(path, RECORDS)
    assert path.read_bytes().splitlines() == RECORDS


def test_what_is_no_record_is_not_cut(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear reader")
    for call in (check_writable, lambda p: append_records(p, RECORDS)):
        with pytest.raises(UserError, match="no record"):
            call(path)
    assert path.read_bytes() == b"Dear reader"
    path.write_bytes(RECORDS[0] + b"\n" + RECORDS[-1][:-1] * 20)  # longer than what comes
    append_records(path, RECORDS[1:2])
    assert path.read_bytes().splitlines() == RECORDS[:2]
    path.write_bytes(b'{"messages": 1}')  # whole, only its newline is missing
    append_records(path, RECORDS[:1])
    assert path.read_bytes() == b'{"messages": 1}\n' + RECORDS[0] + b"\n"


def test_checking_leaves_no_trace(tmp_path):
    check_writable(tmp_path / "new.jsonl")
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "there.jsonl"
    path.write_bytes(b'{"messages": ')
    check_writable(path)
    assert path.read_bytes() == b'{"messages": '


def test_what_can_not_be_written_is_said_at_once(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "x")
    os.mkfifo(tmp_path / "fifo")
    for path, said in (
        (tmp_path, "appended to"),
        (tmp_path / "no" / "folder" / "x.jsonl", "folder that exists"),
        (tmp_path / "link", "symbolic link"),
        (tmp_path / "fifo", "ordinary file"),
    ):
        with pytest.raises(UserError, match=said):
            check_writable(path)


class MadeMeanwhile(type(Path())):
    """A path at which another program writes a record just after it was looked for."""

    def exists(self):
        self.write_bytes(RECORDS[0] + b"\n")
        return False


def test_looking_whether_a_file_can_be_written_removes_nothing_of_others(tmp_path):
    check_writable(MadeMeanwhile(tmp_path / "new.jsonl"))
    assert (tmp_path / "new.jsonl").read_bytes() == RECORDS[0] + b"\n"


def records_in(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def python(code, *args):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE)


WRITER = """
import json, sys
from pathlib import Path
from palaver.capture.append import append_records
path, name = Path(sys.argv[1]), sys.argv[2]
print("on", flush=True)
for i in range(int(sys.argv[3])):
    text = f"{name} {i} " + "word " * 3000
    append_records(path, [json.dumps({"messages": [{"role": "user", "content": text}]}).encode()])
    print(name, i, flush=True)
"""


def test_processes_take_turns(tmp_path):
    path = tmp_path / "out.jsonl"
    writers = [python(WRITER, path, name, 25) for name in "abc"]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    said = [r["messages"][0]["content"].split()[:2] for r in records_in(path)]
    assert sorted(said) == sorted([name, str(i)] for name in "abc" for i in range(25))


def test_killed_writers_lose_nothing_that_they_acknowledged(tmp_path):
    path = tmp_path / "out.jsonl"
    rng = random.Random(9)
    acknowledged = set()
    for trial in range(12):
        writer = python(WRITER, path, f"t{trial}", 100_000)
        writer.stdout.readline()
        time.sleep(rng.expovariate(1 / 0.04))
        writer.send_signal(signal.SIGKILL)
        out, _ = writer.communicate()
        acknowledged |= {
            line for line in out.decode().splitlines(keepends=True) if line[-1] == "\n"
        }
    append_records(path, RECORDS[:1])
    *found, last = records_in(path)
    assert json.dumps(last).encode() == RECORDS[0]
    said = [" ".join(r["messages"][0]["content"].split()[:2]) + "\n" for r in found]
    assert acknowledged <= set(said)
    assert len(said) == len(set(said))


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    code = """
import resource, signal, sys
from pathlib import Path
from palaver.capture.append import append_records
from palaver.core.errors import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
path = Path(sys.argv[1])
append_records(path, [b'{"messages":1}'])
try:
    append_records(path, [b'{"messages":"' + b"x" * 9000 + b'"}'])
except UserError as error:
    print(error)
"""
    path = tmp_path / "out.jsonl"
    out, _ = python(code, path).communicate(timeout=30)
    assert b"full; the file is as it was" in out
    assert path.read_bytes() == b'{"messages":1}\n'


def test_a_known_place_saves_reading_but_is_checked(tmp_path):
    path = tmp_path / "out.jsonl"
    places = append_records(path, RECORDS)
    known = {place.digest: place.start for place in places}
    assert append_records(path, RECORDS, known) == []
    assert places[2].digest == digest(RECORDS[2])
    lied = {digest(RECORDS[0]): 5}
    assert append_records(path, RECORDS[:1], lied) == []

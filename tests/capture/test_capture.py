"""Training records: what goes in, and that a file of them is whole whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.capture.append import append_records, check_writable, digest
from palaver.capture.output import build_record, capture_session, save_session
from palaver.capture.records import Policy
from palaver.capture.sign import CLOSING, sandwich
from palaver.core.errors import UserError
from palaver.core.log import Compaction, Notice
from palaver.core.messages import (
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "palaver.db") as opened:
        yield opened


def say(store, session, *entries):
    """Append entries after the tip; return their row ids."""
    tip = store.tip(session)
    rows = []
    for entry in entries:
        tip = store.append(session, tip, entry).id
        rows.append(tip)
    return rows


def record(store, session, **policy):
    built = build_record(store, session, Policy(**policy))
    return built.line and json.loads(built.line)["messages"], built.left_out


def roles(messages):
    return [(m["role"], m["content"]) for m in messages]


def test_the_system_message_is_the_one_of_the_newest_answer(store):
    session = store.create_session()
    say(store, session, system("old"), user("q"), assistant("a"), system("not used yet"))
    said = [("system", "old"), ("user", "q"), ("assistant", "a")]
    assert roles(record(store, session)[0]) == said
    say(store, session, user("not answered yet"))
    assert roles(record(store, session)[0]) == said
    say(store, session, assistant("b"))
    assert roles(record(store, session)[0])[0] == ("system", "not used yet")


def test_the_shape_of_a_record(store):
    session = store.create_session()
    call = ToolCall("c1", "python", '{"code": "<1>"}')
    say(
        store,
        session,
        system("old"),
        system("be brief"),
        user("what is 1?"),
        Notice("info", "not for models"),
        Message("assistant", (Reasoning("hm"), Text("let me see"), call), "end"),
        Message("tool", (ToolResult("c1", "python", "1\n"),)),
        Compaction(2, "full"),
        assistant("It is ünö."),
    )
    built = build_record(store, session, Policy())
    assert b"\n" not in built.line
    assert json.loads(built.line) == {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "what is 1?"},
            {
                "role": "assistant",
                "content": "let me see",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "python", "arguments": '{"code": "<1>"}'},
                    }
                ],
                "reasoning": "hm",
            },
            {"role": "tool", "content": "1\n", "tool_call_id": "c1", "name": "python"},
            {"role": "assistant", "content": "It is ünö."},
        ]
    }
    messages, _ = record(store, session, no_system=True)
    assert messages[0]["role"] == "user"


def test_what_would_teach_something_wrong_is_left_out(store):
    session = store.create_session()
    bad_call = ToolCall("c", "python", "{", "cut off")
    open_call = ToolCall("d", "python", "{}")
    say(store, session, user("1"), assistant("whole"), user("2"), assistant("hal", "cancelled"))
    say(store, session, user("3"), assistant("hal", "error"), user("4"), assistant("h", "length"))
    say(
        store,
        session,
        user("5"),
        assistant(" "),
        user("6"),
        Message("assistant", (bad_call,), "end"),
    )
    say(store, session, user("7"), Message("assistant", (open_call,), "end"))
    _, bad = say(store, session, user("8"), assistant("terrible"))
    say(store, session, user("9"), Message("assistant", (Text("imported"),)), user("unanswered"))
    store.mark(bad, "good")
    store.mark(bad, "bad")
    messages, left_out = record(store, session)
    assert roles(messages) == [
        ("user", "1"),
        ("assistant", "whole"),
        ("user", "9"),
        ("assistant", "imported"),
    ]
    assert left_out == {
        "was stopped": 1,
        "was cut off": 1,
        "was cut at the token limit": 1,
        "has an empty answer": 1,
        "has a tool call that can't be read": 1,
        "has a tool call without a result": 1,
        "is marked bad": 1,
        "has no answer": 1,
    }


def test_good_marks_choose_and_redeem(store):
    session = store.create_session()
    first = say(store, session, system("s"), user("1"), assistant("meh"))
    second = say(store, session, user("2"), assistant("short but go", "length"))
    messages, left_out = record(store, session, good_only=True)
    assert messages is None
    assert left_out == {"is not marked good": 2}
    store.mark(second[1], "good")
    messages, _ = record(store, session, good_only=True)
    assert roles(messages) == [("system", "s"), ("user", "2"), ("assistant", "short but go")]
    assert len(record(store, session)[0]) == 5
    store.mark(first[1], "good")  # on the user's message: the turn's mark all the same
    assert len(record(store, session, good_only=True)[0]) == 5


@given(*[st.text(min_size=1)] * 3)
def test_the_sandwich(prompt, kb, kernel):
    signed = sandwich(prompt, kb, kernel)
    head = f"Name: Ethics Experiment\nKB:\n{kb}\n\n---\n\n"
    assert signed.startswith(head + prompt + "\n\n---\n\n" + kernel)
    assert signed == head + prompt + "\n\n---\n\n" + kernel + "\n\n" + CLOSING
    assert "\n" not in CLOSING


def test_only_user_turns_are_signed_and_only_when_written(store):
    session = store.create_session()
    say(store, session, system("s"), user("q"), assistant("a"))
    messages, _ = record(store, session, signing=("KB text\n", "kernel"))
    assert roles(messages) == [
        ("system", "s"),
        ("user", sandwich("q", "KB text\n", "kernel")),
        ("assistant", "a"),
    ]
    assert [r.entry.text for r in store.path(session)] == ["s", "q", "a"]


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_nothing_is_written_twice(store, tmp_path):
    path = tmp_path / "out.jsonl"
    session = store.create_session()
    say(store, session, user("1"))
    saved = capture_session(store, session, path, Policy())
    assert (saved.written, path.exists()) == (False, False)
    assert "two messages" in str(saved)
    _, answer = say(store, session, assistant("a")) * 2
    assert str(capture_session(store, session, path, Policy())) == "saved 2 messages"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    say(store, session, Notice("note", "no message"))
    assert "already saved" in str(capture_session(store, session, path, Policy()))
    say(store, session, user("2"), assistant("b"))
    saved = capture_session(store, session, path, Policy())
    assert str(saved) == "saved 4 messages (with those saved before)"
    store.set_tip(session, answer)
    assert not capture_session(store, session, path, Policy()).written
    assert [len(r["messages"]) for r in lines_of(path)] == [2, 4]
    path.rename(tmp_path / "taken.jsonl")
    assert capture_session(store, session, path, Policy()).written  # another file of this name
    assert capture_session(store, session, path, Policy(signing=("k", "l"))).written
    assert len(lines_of(path)) == 2


def test_an_edited_file_is_believed(store, tmp_path):
    path = tmp_path / "out.jsonl"
    session = store.create_session()
    say(store, session, user("1"), assistant("a"))
    capture_session(store, session, path, Policy())
    line = path.read_bytes()
    path.write_bytes(b'{"messages": []}\r\n' + line.replace(b"\n", b"\r\n"))
    assert not capture_session(store, session, path, Policy()).written
    path.write_bytes(b'{"messages": []}\n')
    assert capture_session(store, session, path, Policy()).written
    assert path.read_bytes() == b'{"messages": []}\n' + line


def test_save_from_async_code(tmp_path):
    async def run():
        store = await AsyncStore.open(tmp_path / "palaver.db")
        session = await store.run(Store.create_session)
        await store.run(say, session, system("s"), user("q"), assistant("a"))
        said = await save_session(store, session, tmp_path / "o.jsonl", no_system=True)
        await store.close()
        return said

    assert asyncio.run(run()) == f"saved 2 messages ({tmp_path / 'o.jsonl'})"
    assert roles(lines_of(tmp_path / "o.jsonl")[0]["messages"]) == [
        ("user", "q"),
        ("assistant", "a"),
    ]


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
    said = [r["messages"][0]["content"].split()[:2] for r in lines_of(path)]
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
    *found, last = lines_of(path)
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

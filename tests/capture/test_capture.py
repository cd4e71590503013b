"""Training records: what goes in, and that nothing is written twice."""

from __future__ import annotations

import asyncio
import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.capture.output import (
    Saved,
    build_record,
    build_records,
    capture_session,
    save_session,
    write_record,
)
from palaver.capture.records import Built, Policy
from palaver.capture.sign import CLOSING, sandwich
from palaver.conversation import Conversation
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
    built = build_record(store, session, Policy(**policy)).built
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
    line = build_record(store, session, Policy()).built.line
    assert b"\n" not in line
    assert json.loads(line) == {
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


def test_what_was_left_out_is_said():
    why = {"was stopped": 2, "has an empty answer": 1, "is marked bad": 2, "has no answer": 3}
    assert str(Saved(Built(None, 0, why), False)).split("; ")[1:] == [
        "left out 2 turns whose answer was stopped",
        "left out 1 turn that has an empty answer",
        "left out 2 turns that are marked bad",
        "left out 3 turns that have no answer",
    ]


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


def users(records):
    """Return what the user says in each record."""
    talks = [json.loads(str(record))["messages"] for record in records]
    return [[m["content"] for m in talk if m["role"] == "user"] for talk in talks]


def test_what_clear_left_is_captured_and_what_was_undone_is_not(tmp_path):
    async def talk(conversation, *texts):
        for text in texts:
            await conversation.append(user(text))
            await conversation.append(assistant(f"{text}!"))

    async def run():
        store = await AsyncStore.open(tmp_path / "palaver.db")
        made = await Conversation.create(store, "be brief", None)
        await made.clear()  # nothing was said: nothing is left
        await talk(made, "a", "b", "undone")
        await made.undo()
        await talk(made, "c")
        await made.clear()
        await talk(made, "d")
        await made.set_system("be long")
        await talk(made, "e")
        await made.clear()
        await made.redo()  # gone back to, so it goes on
        await talk(made, "f")
        await made.clear()
        await made.redo()
        await made.undo()
        await talk(made, "g")
        await made.mark(made.last_answer(), "good")
        await made.clear()
        await store.close()

    asyncio.run(run())
    path = tmp_path / "out.jsonl"
    with Store(tmp_path / "palaver.db") as store:
        records = build_records(store, 1, Policy())
        assert users(records) == [["a", "b", "c"], ["d", "e", "g"]]
        assert all(write_record(store, 1, path, record).written for record in records)
        say(store, 1, user("h"), assistant("h!"))
        again = build_records(store, 1, Policy())
        written = [write_record(store, 1, path, record).written for record in again]
        assert written == [False, False, True]
        assert users(build_records(store, 1, Policy(good_only=True))) == [["g"]]
        assert users(build_records(store, 1, Policy(), branches=True)) == [
            ["a", "b", "undone"],
            ["a", "b", "c"],
            ["d", "e", "f"],
            ["d", "e", "g"],
            ["h"],
        ]
        assert len(users(build_records(store, 1, Policy(no_system=True)))) == 3
    assert len(lines_of(path)) == 3

"""Conversations that clients send whole each time: exact ids, what is read again, capture."""

import subprocess
import sys

import pytest
from tests.server.serving import serving
from tests.server.test_chat import ASK, READ
from tests.support.terminal import environment, tiny

from palaver.core.messages import Message
from palaver.models.prompt import all_ids
from palaver.sessions.store import Store

CHAT = "/v1/chat/completions"


def say(server, talk, text, **asked):
    """Say something; the talk grows by it and the answer. Returns the usage."""
    talk.append({"role": "user", "content": text})
    answer = server.post(CHAT, messages=talk, max_tokens=12, **asked)
    talk.append(answer["choices"][0]["message"])
    return answer["usage"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def noise(home):
    args = ("--slots", "1", "--context", "2048", "--capture", "--name", "noise")
    with serving(home, *args, model=tiny()) as made:
        yield made


def sessions(home):
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        return [(one, store.path(one.id)) for one in store.list_sessions()]


def roles(rows):
    return [row.entry.role for row in rows if isinstance(row.entry, Message)]


def test_a_conversation_is_read_once_and_kept_with_its_ids(noise, home):
    talk = [{"role": "system", "content": "Be brief."}]
    before = say(noise, talk, "one")
    for text in ("two", "three"):
        after = say(noise, talk, text)
        # All of the earlier prompt and answer, but for the last token, which no engine keeps.
        cached = after["prompt_tokens_details"]["cached_tokens"]
        assert cached >= before["total_tokens"] - 1
        before = after
    ((session, rows),) = sessions(home)
    assert session.model == "noise"
    assert roles(rows) == ["system", *["user", "assistant"] * 3]
    ids = all_ids(rows[-1], {row.id: row for row in rows})
    assert len(ids) == before["total_tokens"]
    assert all(row.generation.exact for row in rows if row.generation)


def test_another_way_is_a_branch_and_another_beginning_a_session(noise, home):
    count = len(sessions(home))
    talk = [{"role": "system", "content": "Be kind."}]
    say(noise, talk, "a")
    fork = list(talk)
    say(noise, talk, "b")
    say(noise, fork, "c")
    other = [{"role": "system", "content": "Be kind."}]
    say(noise, other, "d")
    found = sessions(home)
    assert len(found) == count + 2
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        assert len(store.branches(found[1][0].id)) == 2


def test_several_answers_are_branches_and_the_same_words_another_session(noise, home):
    count = len(sessions(home))
    asked = {"messages": [{"role": "user", "content": "the same"}], "max_tokens": 4}
    for _ in range(2):
        noise.post(CHAT, **asked, n=2, temperature=2, seed=1)
    found = sessions(home)
    assert len(found) == count + 2
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        for session, rows in found[:2]:
            assert len(store.branches(session.id)) == 2
            assert roles(rows) == ["user", "assistant"]


def test_what_a_client_changed_is_read_as_it_is_sent(noise):
    talk = []
    say(noise, talk, "first")
    talk[1]["content"] = "I never said this."
    count = noise.post("/tokenize", messages=[*talk, {"role": "user", "content": "x"}])["count"]
    assert say(noise, talk, "x")["prompt_tokens"] == count


def test_others_can_train_on_it(noise, home):
    done = subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "sessions", "list"],
        env=environment(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "one" in done.stdout


def test_calls_keep_the_ids_that_the_client_was_told(tmp_path):
    with serving(tmp_path, "--capture", "--slots", "1") as server:
        message = server.post(CHAT, messages=ASK, tools=[READ])["choices"][0]["message"]
        (call,) = message["tool_calls"]
        result = {"role": "tool", "tool_call_id": call["id"], "content": "Buy milk."}
        talk = [*ASK, message, result]
        usage = server.post(CHAT, messages=talk, tools=[READ])["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] > 0
    ((_, rows),) = sessions(tmp_path)
    assert roles(rows) == ["user", "assistant", "tool", "assistant"]
    assert rows[1].entry.calls[0].id == call["id"]
    assert rows[2].entry.parts[0].call_id == call["id"]


def test_without_capture_nothing_is_kept(tmp_path):
    with serving(tmp_path, "--slots", "1") as server:
        say(server, [], "Hello!")
    assert not (tmp_path / "data" / "palaver.db").exists()

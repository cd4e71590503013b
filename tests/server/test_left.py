"""Answers that were cut off: what was told of them is on disk, with its ids, and goes on."""

import json
import signal
import socket

import pytest
from tests.server.serving import serving, until
from tests.server.test_load import stream
from tests.support.terminal import tiny

from palaver.core.messages import Message
from palaver.models.prompt import all_ids
from palaver.sessions.store import Store

CHAT = "/v1/chat/completions"
ARGS = ("--slots", "1", "--context", "16384", "--drain", "0", "--name", "noise")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def noise(house):
    with serving(house, *ARGS, "--capture", model=tiny()) as made:
        yield made


def talk(text):
    return {"messages": [{"role": "user", "content": text}]}


def told(file, pieces=5):
    """Read some pieces of a stream; return their text."""
    seen = []
    for line in file:
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            text = event.get("delta") or ""
            if choices := event.get("choices"):
                text = choices[0]["delta"].get("content") or ""
            seen += [text] if text else []
            if len(seen) == pieces:
                break
    return "".join(seen)


def kept(home, text):
    """Return the rows of the session that begins with a text, where there is one."""
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        for session in store.list_sessions():
            rows = store.path(session.id)
            first = rows[0].entry if rows else None
            if isinstance(first, Message) and first.text == text:
                return rows
    return []


def check(rows, seen):
    """See that an answer was kept as far as it was told, marked as cut off, with exact ids."""
    assert len(rows) == 2
    answer = rows[1]
    assert answer.entry.stop == "cancelled"
    assert seen
    assert answer.entry.text.startswith(seen)
    assert answer.generation.exact
    assert len(all_ids(answer, {row.id: row for row in rows})) > answer.generation.sampled > 0


def test_who_leaves_a_stream(noise, house):
    noise.post(CHAT, **talk("before"), max_tokens=4)  # there is a store
    with stream(noise, CHAT, **talk("leaves a stream")) as file:
        seen = told(file)
    until(lambda: len(kept(house, "leaves a stream")) == 2)
    check(kept(house, "leaves a stream"), seen)
    until(lambda: noise.gauge("slots_busy") == 0)
    with Store(house / "data" / "palaver.db") as store:  # and others may go on with it
        store.claim(kept(house, "leaves a stream")[0].session)


def test_who_leaves_before_an_answer_was_whole(noise, house):
    data = json.dumps(talk("waits")).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", noise.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        until(lambda: noise.gauge("slots_busy") == 1)
    until(lambda: noise.gauge("slots_busy") == 0)
    rows = kept(house, "waits")
    if rows:  # nothing is kept of who left before the first word
        check(rows, rows[-1].entry.text)


def test_a_response_that_was_left_goes_on(noise, house):
    with stream(noise, "/v1/responses", input="leaves a response") as file:
        seen = told(file)
    until(lambda: len(kept(house, "leaves a response")) == 2)
    check(kept(house, "leaves a response"), seen)


def test_a_response_that_was_left_is_found_as_cut_off(noise):
    with noise.client() as client:
        with client.responses.create(model="noise", input="is found", stream=True) as events:
            made = next(events).response
            assert next(e for e in events if e.type == "response.output_text.delta")
        until(lambda: noise.gauge("slots_busy") == 0)
        found = client.responses.retrieve(made.id)
        assert (found.status, found.output[0].status) == ("cancelled", "incomplete")
        asked = {"previous_response_id": made.id, "max_output_tokens": 2}
        assert client.responses.create(model="noise", input="and now?", **asked).output_text


def test_the_end_of_the_server_keeps_what_was_told(tmp_path):
    with serving(tmp_path, *ARGS, "--capture", model=tiny()) as server:
        with stream(server, CHAT, **talk("ends")) as file:
            seen = told(file)
            server.process.send_signal(signal.SIGTERM)
            rest = file.read()
        assert b'"draining"' in rest
        assert server.process.wait(60) == 0
    check(kept(tmp_path, "ends"), seen)

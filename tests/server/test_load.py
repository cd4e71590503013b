"""Several clients at once: lanes, the queue, who goes away, an engine that dies, the end."""

import json
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import openai
import psutil
import pytest
from tests.server.serving import PATIENCE, Serving, serving, until
from tests.support.terminal import tiny

NOISE = {"prompt": "once upon a time", "max_tokens": 20_000}  # the random model never ends it


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    args = ("--context", "16384", "--slots", "2", "--queue", "3", "--drain", "1")
    with serving(tmp_path_factory.mktemp("home"), *args, model=tiny()) as made:
        yield made


@contextmanager
def stream(server, path="/v1/completions", **body):
    """Begin a stream; yields its socket once the first event is there."""
    data = json.dumps({"stream": True} | (body or NOISE)).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += "Connection: close\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        with connection.makefile("rb") as file:
            for line in file:
                if line.startswith(b"data:"):
                    break
            yield file


def idle(server):
    return server.gauge("slots_busy") == 0


def short(server, **body):
    return server.post("/v1/completions", **{"prompt": "x", "max_tokens": 4} | body)


def test_answers_at_once_are_those_of_one_alone(server):
    prompts = [f"{word} and so on" for word in ("red", "green", "blue", "white", "black")]

    def ask(prompt):
        return short(server, prompt=prompt, max_tokens=24, return_token_ids=True)["choices"][0]

    alone = [ask(prompt)["token_ids"] for prompt in prompts]
    with ThreadPoolExecutor(5) as pool:
        assert [c["token_ids"] for c in pool.map(ask, prompts)] == alone


def test_who_goes_away_frees_the_lane_and_disturbs_nobody(server):
    until(lambda: idle(server))
    alone = short(server, max_tokens=200, return_token_ids=True)["choices"][0]["token_ids"]
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            running = pool.submit(short, server, max_tokens=200, return_token_ids=True)
            with stream(server):
                pass
            until(lambda: server.gauge("slots_busy") <= 1)
            assert running.result()["choices"][0]["token_ids"] == alone
    until(lambda: idle(server))


def test_who_goes_away_before_an_answer_was_whole(server):
    data = json.dumps(NOISE).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        until(lambda: not idle(server))
    until(lambda: idle(server))


def test_a_full_queue_turns_away_and_says_when_to_come_again(server):
    with ThreadPoolExecutor(3) as pool, stream(server), stream(server):
        waiting = [pool.submit(short, server) for _ in range(3)]
        until(lambda: server.gauge("requests_waiting") == 3)
        status, headers, data = server.ask("POST", "/v1/completions", NOISE)
        assert (status, json.loads(data)["error"]["type"]) == (429, "rate_limit_error")
        assert int(headers["retry-after"]) >= 1
        assert json.loads(server.ask("GET", "/health")[2])["waiting_requests"] == 3
        assert not any(w.done() for w in waiting)
    for one in waiting:
        assert one.result()["choices"]
    until(lambda: idle(server))


def test_who_waits_may_go_away(server):
    with stream(server), stream(server):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            data = json.dumps(NOISE).encode()
            head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            head += b"Content-Type: application/json\r\n"
            connection.sendall(head + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
            until(lambda: server.gauge("requests_waiting") == 1)
        until(lambda: server.gauge("requests_waiting") == 0)
    until(lambda: idle(server))


def test_a_prefix_is_read_once(server):
    system = {"role": "system", "content": " ".join(f"rule{i}" for i in range(60))}
    talk = [system, {"role": "user", "content": "begin"}]
    usage = None
    for turn in range(3):
        answer = server.post("/v1/chat/completions", messages=talk, max_tokens=8)
        before, usage = usage, answer["usage"]
        if before:
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            assert cached >= before["prompt_tokens"] - 1
        talk += [answer["choices"][0]["message"], {"role": "user", "content": f"go on {turn}"}]


def engine_of(server):
    (child,) = (
        c for c in psutil.Process(server.process.pid).children() if "child" in " ".join(c.cmdline())
    )
    return child


def test_a_dead_engine_fails_its_own_requests_and_comes_back(server):
    with stream(server) as running:
        os.kill(engine_of(server).pid, signal.SIGKILL)
        rest = running.read()
    *_, last = [json.loads(line[6:]) for line in rest.splitlines() if line.startswith(b"data: {")]
    assert last["error"]["type"] == "server_error"
    assert b"[DONE]" not in rest
    assert short(server)["choices"]
    assert server.gauge("engine_restarts_total") == 1
    with (
        server.client() as client,
        client.completions.create(model=server.name, stream=True, **NOISE) as chunks,
    ):
        next(chunks)
        os.kill(engine_of(server).pid, signal.SIGKILL)
        with pytest.raises(openai.APIError, match="engine"):
            list(chunks)


def test_requests_during_loading_are_told_to_come_again(tmp_path):
    made = Serving(tmp_path, model=tiny())
    try:
        status, headers, data = made.ask("POST", "/v1/completions", NOISE)
        if status == 503:  # nearly always: a model takes longer to load than a request to come
            assert json.loads(data)["error"]["code"] == "loading"
            assert headers["retry-after"]
        made.wait_for("palaver serves")
        assert made.end(signal.SIGINT) == 0
    finally:
        made.close()


def test_a_model_that_does_not_load_ends_the_server(tmp_path):
    (tmp_path / "none.gguf").write_bytes(b"GGUF nothing")
    made = Serving(tmp_path, model=Path(tmp_path / "none.gguf"))
    try:
        assert made.process.wait(PATIENCE) == 2
        made.wait_for("none.gguf")
    finally:
        made.close()


def test_limits_of_the_owner(tmp_path):
    limits = ("--timeout", "1", "--max-context", "2", "--context", "4096", "--max-tokens", "4000")
    with serving(tmp_path, *limits, "--slots", "1", model=tiny()) as made:
        # A busy machine may say nothing in a second: the answer is ended all the same.
        assert short(made, **NOISE)["choices"][0]["finish_reason"] == "length"
        count = {}
        for turns in (1, 2, 9):
            talk = [{"role": "system", "content": "Be brief."}]
            talk += [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "y"},
            ] * turns
            count[turns] = made.post("/tokenize", messages=talk)["count"]
        assert count[1] == count[2] == count[9]


def test_the_end_lets_answers_end(tmp_path):
    made = Serving(tmp_path, "--drain", "30", "--context", "4096", "--slots", "1", model=tiny())
    try:
        made.wait_for("palaver serves")
        with stream(made, prompt="x", max_tokens=300) as running:
            made.process.send_signal(signal.SIGTERM)
            made.wait_for("palaver ends")
            rest = running.read()
        assert b'"finish_reason":"length"' in rest
        assert b"data: [DONE]" in rest
        assert made.process.wait(PATIENCE) == 0
    finally:
        made.close()


def test_the_end_lets_who_waits_be_answered(tmp_path):
    made = Serving(tmp_path, "--drain", "30", "--context", "1024", "--slots", "1", model=tiny())
    try:
        made.wait_for("palaver serves")
        waiting = []
        with stream(made, prompt="x", max_tokens=500) as running:
            asking = threading.Thread(target=lambda: waiting.append(short(made, n=2)))
            asking.start()
            until(lambda: waiting or made.gauge("requests_waiting") == 1)
            made.process.send_signal(signal.SIGTERM)
            assert b"data: [DONE]" in running.read()
            asking.join()
        assert len(waiting[0]["choices"]) == 2
        assert made.process.wait(PATIENCE) == 0
    finally:
        made.close()


def test_the_end_has_an_end(server):
    """The last test of this server."""
    waiting: list[int] = []
    with stream(server) as one, stream(server):
        asking = threading.Thread(
            target=lambda: waiting.append(server.ask("POST", "/v1/completions", NOISE)[0])
        )
        asking.start()
        until(lambda: server.gauge("requests_waiting") == 1)
        server.process.send_signal(signal.SIGTERM)
        rest = one.read()
        asking.join()
    assert b'"draining"' in rest
    assert b"[DONE]" not in rest
    assert waiting == [503]
    assert server.process.wait(PATIENCE) == 0

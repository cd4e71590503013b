"""A chat in a full terminal with an endpoint: tools, waiting, a server that goes and comes back."""

from __future__ import annotations

import socket
import sys

import pytest
from tests.support.endpoint import KEY, free_port, llama_cpp
from tests.support.recordings import BEGIN, STOP, events, said, usage
from tests.support.replay import answer, listing, replaying_beside, stream
from tests.support.terminal import Terminal

LLAMA = listing("m", owner="llamacpp", meta={"n_ctx": 2048})
CUT = stream(events(BEGIN, said("The beginning, "), done=False))
REST = stream(events(BEGIN, said("and the end."), STOP, usage(20, 5)))


@pytest.fixture
def place(tmp_path, monkeypatch):
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "a.txt").write_text("alpha")
    monkeypatch.chdir(folder)
    return folder


def chat(home, url: str, *args: str, **more) -> Terminal:
    line = [sys.executable, "-m", "palaver.cli.main", "--endpoint", url, *args]
    return Terminal(home, command=line, **more)


def test_a_chat_with_a_tool_and_a_server_that_is_killed_and_comes_back(place, tmp_path):
    env = {"PALAVER_ENDPOINT_KEY": KEY}
    with llama_cpp(tmp_path) as real, chat(tmp_path / "h", real.url, env=env) as terminal:
        port = int(real.url.split(":")[2].partition("/")[0])
        terminal.wait("next: ~")
        assert f"{real.url}, context 2048" in terminal.text()
        terminal.line("What files are here?")
        terminal.wait("[call] list_files")
        terminal.wait("a.txt")
        terminal.wait(" reused, ")  # the turn is over
        real.end()
        terminal.line("Hello!")
        terminal.wait("again in")
        assert "Connection refused; again in" in " ".join(terminal.text().split())
        terminal.send("\x03")
        terminal.wait("stopped; nothing was answered")
        with llama_cpp(tmp_path, port=port):
            terminal.line("/retry")
            terminal.wait("I am palaver-tiny")
            terminal.wait(lambda: terminal.text().count(" reused, ") == 2)
            terminal.line("/context")
            terminal.wait("of 2048, ~")
            terminal.leave()


def test_a_server_that_says_nothing_is_waited_for_and_left(place, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with chat(tmp_path / "h", url) as terminal:
            terminal.wait("waiting for the server")
            terminal.line("Hello!")
            terminal.wait("waiting for the server ... 1 s")
            terminal.send("\x03")
            terminal.wait("stopped; nothing was answered")
            terminal.leave()


def test_a_server_that_is_started_later_is_found(place, tmp_path):
    env = {"PALAVER_ENDPOINT_KEY": KEY}
    port = free_port()
    with chat(tmp_path / "h", f"http://127.0.0.1:{port}", env=env) as terminal:
        terminal.wait("nothing answers")
        with llama_cpp(tmp_path, port=port):
            terminal.line("Hello!")
            terminal.wait("I am palaver-tiny")
            terminal.wait("next: ~")
            terminal.leave()


def test_ctrl_c_ends_the_countdown_and_the_next_try_answers(place, tmp_path):
    slow = answer(429, {"error": {"message": "slow down \x1b[31m"}}, Retry_After="40")
    with replaying_beside(slow, REST) as told, chat(tmp_path / "h", told.url) as terminal:
        terminal.wait("next: ~")
        terminal.line("Hello")
        terminal.wait("again in 4")
        assert "slow down" in terminal.text()
        assert b"\x1b[31m;" not in terminal.raw
        terminal.send("\x03")
        terminal.wait("stopped; nothing was answered")
        assert len(told.chats) == 1
        terminal.line("/retry")
        terminal.wait("and the end.")
        terminal.wait("0 reused, 20 read")
        terminal.leave()


def test_an_answer_that_broke_off_is_gone_on_with(place, tmp_path):
    with (
        replaying_beside(CUT, REST, models=LLAMA) as told,
        chat(tmp_path / "h", told.url, "--tools", "off") as terminal,
    ):
        terminal.wait("next: ~")
        terminal.line("Hello")
        terminal.wait("broken off: /continue")
        terminal.wait("the stream ended early")
        terminal.line("/continue")
        terminal.wait("and the end.")
        terminal.wait("0 reused, 20 read")
        sent = told.chats[-1].json["messages"]
        assert sent[-1] == {"role": "assistant", "content": "The beginning, "}
        terminal.line("/retry")
        terminal.wait(lambda: len(told.chats) == 3)
        assert told.chats[-1].json["messages"][-1]["role"] == "user"
        terminal.leave()


def test_what_cannot_be_gone_on_with_is_said_and_the_text_is_kept(place, tmp_path):
    with replaying_beside(CUT, REST) as told, chat(tmp_path / "h", told.url) as terminal:
        terminal.wait("next: ~")
        terminal.line("Hello")
        terminal.wait("broken off: /continue")
        terminal.line("/continue")
        terminal.wait("can't go on with an answer")
        terminal.line("/retry")
        terminal.wait("and the end.")
        terminal.wait("0 reused, 20 read")
        terminal.leave()


def test_another_model_of_the_server_and_one_that_it_has_not(place, tmp_path):
    gone = answer(404, {"error": {"message": "no such model"}})
    with (
        replaying_beside(gone, REST, models=listing("one", "two")) as told,
        chat(tmp_path / "h", told.url) as terminal,
    ):
        terminal.wait("next: ~")
        terminal.line("/model three")
        terminal.wait("three on")
        terminal.line("Hello")
        terminal.wait("it has one, two")
        terminal.line("/model two")
        terminal.wait("two on")
        terminal.line("/retry")
        terminal.wait("and the end.")
        assert told.chats[-1].json["model"] == "two"
        terminal.leave()


def test_plain_lines_say_once_what_is_waited_for(place, tmp_path):
    slow = answer(503, "starting")
    with (
        replaying_beside(slow, REST) as told,
        chat(tmp_path / "h", told.url, "--plain") as terminal,
    ):
        terminal.wait("you>")
        terminal.line("Hello")
        terminal.wait("and the end.")
        assert terminal.text().count("again in 1 s") == 1
        assert "starting" in terminal.text()

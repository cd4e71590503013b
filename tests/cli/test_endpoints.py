"""Endpoints from the command line and from Python, on llama.cpp's own server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.endpoint import KEY, llama_cpp
from tests.support.terminal import environment

from palaver import Chatbot
from palaver.core.errors import UserError
from palaver.sessions.store import Store

HELLO = "Hello! I am palaver-tiny, a tiny demonstration model. What can I do for you?"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with llama_cpp(tmp_path_factory.mktemp("endpoint")) as server:
        yield server


@pytest.fixture
def run(tmp_path, real):
    config = tmp_path / "home" / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[backends.mine]\nurl = "{real.url}"\nkey_env = "MINE_KEY"\n')

    def palaver(*args: str, piped: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        given = environment(tmp_path / "home", MINE_KEY=KEY, **env)
        return subprocess.run(
            [sys.executable, "-m", "palaver.cli.main", *args],
            env=given, cwd=tmp_path, input=piped, capture_output=True, text=True, timeout=100,
        )  # fmt: skip

    return palaver


def test_ask_a_backend(run):
    done = run("ask", "-e", "mine", "Hello!")
    assert (done.returncode, done.stdout, done.stderr) == (0, HELLO + "\n", "")


def test_ask_an_address_with_a_key_of_the_environment(run, real):
    done = run("ask", "--endpoint", real.url, "--json", "Hello!", PALAVER_ENDPOINT_KEY=KEY)
    assert done.returncode == 0
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["message"]["parts"][0]["text"] == HELLO
    assert KEY not in done.stdout


def test_a_conversation_is_kept_gone_on_with_and_captured(run, tmp_path):
    said = "Hello!\nWhat files are here?\n/context\n/stats\n/model\n"
    done = run("-e", "mine", "--plain", "--output", "o.jsonl", piped=said)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(HELLO)
    assert "~" in done.stdout
    assert "2 answers" in done.stdout or "3 answers" in done.stdout
    assert "the endpoint's" in done.stdout
    record = json.loads((tmp_path / "o.jsonl").read_text())
    assert record["messages"][1]["content"] == HELLO
    with Store(tmp_path / "home" / "data" / "palaver.db", readonly=True) as store:
        rows = store.path(store.list_sessions()[0].id)
        made = [row.generation for row in rows if row.generation]
        assert all(one.engine.startswith("chat-endpoint http://127.0.0.1") for one in made)
        assert not any(one.added or one.exact for one in made)
    # The same session goes on with a model that runs here, which reads it anew.
    done = run("ask", "-c", "--threads", "1", "--json", "And what are you?")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["generation"].get("exact", True)
    assert last["generation"]["added"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--raw", "--plain"), "--raw"),
        (("ask", "--lora", "x.gguf", "Hello!"), "LoRA"),
        (("generate", "Hello"), "tokens"),
        (("ask", "-m", "nonsense", "--lora", "x", "Hello!"), "LoRA"),
    ],
)
def test_what_an_endpoint_cannot_do_is_refused_by_name(run, args, words):
    words_first = args[:1] if args[0] in ("ask", "generate") else ()
    done = run(*words_first, "-e", "mine", *args[len(words_first) :])
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_variable_is_told(run, tmp_path):
    (tmp_path / "home/config/config.toml").write_text(
        '[backends.mine]\nurl = "http://127.0.0.1:1"\nkey_env = "NOT_SET"\n'
    )
    done = run("ask", "-e", "mine", "Hello!")
    assert done.returncode == 2
    assert "NOT_SET is not set" in done.stderr


def test_an_engine_without_an_address_is_told(run):
    done = run("ask", "-e", "chat-endpoint", "Hello!")
    assert done.returncode == 2
    assert "--endpoint URL" in done.stderr


def test_servers_that_answer_are_listed(run, real):
    model = "palaver-tiny.gguf"
    for command in (("models", "list"), ("doctor",)):
        done = run(*command, PALAVER_THREADS="1")
        assert real.url in done.stdout
        assert model in done.stdout
    assert "mine" in run("engines").stdout


def test_a_backend_that_is_gone_is_listed_with_the_reason(run, tmp_path):
    (tmp_path / "home/config/config.toml").write_text(
        '[backends.gone]\nurl = "http://127.0.0.1:1/v1"\n'
    )
    assert "gone, http://127.0.0.1:1/v1: " in run("models", "list").stdout


def test_from_python(real, tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    with Chatbot(endpoint=real.url, endpoint_key=KEY, temperature=0) as bot:
        assert bot.user_turn("Hello!") == HELLO
        assert not bot.save_state()
        assert bot.state == "idle"
    with pytest.raises(UserError, match="wants a key"):
        Chatbot(endpoint=real.url)


def test_nothing_of_http_is_loaded_without_an_endpoint(tmp_path):
    code = (
        "import sys; sys.argv = ['palaver', 'ask', '--threads', '1', 'Hello!']\n"
        "from palaver.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "assert 'httpx2' not in sys.modules"
    )
    env = os.environ | environment(Path(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 0

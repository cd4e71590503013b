"""Named backends, and where an address and a model come from."""

from __future__ import annotations

import pytest

from palaver.config import backends, settings
from palaver.core.errors import UserError
from palaver.launch import kind_of, model_name, runs_here, speaks_chat
from palaver.remote.address import base_url, is_here, join, root, shown

CONFIG = """
model = "local.gguf"
max_tokens = 100

[backends.work]
url = "https://models.example.org/v1"
model = "large"
key_env = "WORK_KEY"
max_tokens = 7

[backends.fast]
engine = "llama-cpp"
model = "small.gguf"
"""


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    for name in ("PALAVER_ENGINE", "PALAVER_MODEL", "PALAVER_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "config" / "config.toml"
    file.parent.mkdir()
    file.write_text(CONFIG)
    return file


def test_without_a_backend_the_file_counts():
    found = settings.load()
    assert (found.model, found.endpoint, found.max_tokens) == ("local.gguf", None, 100)
    assert runs_here(found)


def test_a_backend_is_settings_by_a_name():
    found = settings.load(engine="work")
    assert found.endpoint == "https://models.example.org/v1"
    assert (found.model, found.key_env, found.max_tokens) == ("large", "WORK_KEY", 7)
    assert found.engine == "chat-endpoint"
    assert speaks_chat(found)
    assert kind_of(found).name == "chat-endpoint"
    assert settings.load(engine="fast").engine == "llama-cpp"
    assert settings.load(engine="fast").model == "small.gguf"


def test_what_is_given_goes_before_a_backend(monkeypatch):
    assert settings.load(engine="work", model="other", max_tokens=9).model == "other"
    assert settings.load(engine="work", max_tokens=9).max_tokens == 9
    monkeypatch.setenv("PALAVER_ENGINE", "work")
    assert settings.load().model == "large"


def test_a_backend_can_be_the_default(config):
    config.write_text('engine = "work"\n' + CONFIG)
    assert settings.load().endpoint == "https://models.example.org/v1"
    assert settings.load(engine="llama-cpp").endpoint is None


def test_a_model_of_the_file_stays_at_home():
    found = settings.load(endpoint="http://127.0.0.1:1")
    assert found.model is None
    assert model_name(found) == "http://127.0.0.1:1"
    assert settings.load(endpoint="http://127.0.0.1:1", model="m").model == "m"
    assert settings.load(engine="ollama").model is None


@pytest.mark.parametrize("name", backends.LOCAL)
def test_local_servers_go_by_their_names(name):
    found = settings.load(engine=name)
    assert found.endpoint == backends.LOCAL[name]
    assert speaks_chat(found) == (name != "local-llama-server")
    assert not runs_here(found)


def test_a_server_that_runs_is_attached():
    there = {"endpoint": "http://127.0.0.1:1"}
    assert kind_of(settings.load(engine="vllm", **there)).name == "completions"
    assert not speaks_chat(settings.load(engine="vllm", **there))
    assert kind_of(settings.load(engine="llama-server", **there)).name == "completions"
    assert runs_here(settings.load(engine="llama-server"))
    assert runs_here(settings.load(engine="llama-cpp", **there))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backends = 3", "tables"),
        ("[backends]\nwork = 3", "tables"),
        ("[backends.work]\nurll = 'x'", "did you mean"),
        ("[backends.work]\nurl = 7", "line 2: .* not a text"),
        ("threads = 1\n[backends.a]\n[backends.'b']\nthreads = 'x'", "line 4: .* whole number"),
        ("[backends.work]\nurl = 'a'\nendpoint = 'b'", "one is enough"),
        ("continues = 'somehow'", "one of trailing, vllm, prefix, no"),
        ("endpoint_idle = -1", "not negative"),
    ],
)
def test_what_is_wrong_is_told(config, text, words):
    config.write_text(text)
    with pytest.raises(UserError, match=words):
        settings.load()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("http://h:1/", "http://h:1/v1"),
        ("https://h/api/v1/", "https://h/api/v1"),
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/v1/models", "https://h/v1"),
        ("https://h/openai/v1?api-version=2", "https://h/openai/v1?api-version=2"),
        (" http://[::1]:9/v1 ", "http://[::1]:9/v1"),
    ],
)
def test_an_address_is_completed(given, url):
    assert base_url(given) == url


@pytest.mark.parametrize(
    "given", ["", "http://", "ftp://h", "http://h:port", "http://u:secret@h/v1", "http://a b/"]
)
def test_what_is_no_address_is_refused(given):
    with pytest.raises(UserError) as caught:
        base_url(given)
    assert "secret" not in str(caught.value)


def test_parts_of_addresses():
    assert join("https://h/v1?a=b", "/models") == "https://h/v1/models?a=b"
    assert root("http://h:1/v1") == "http://h:1"
    assert shown("https://h/v1?key=secret") == "https://h/v1"
    here = ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]/v1", "http://127.9.9.9"]
    assert all(is_here(url) for url in here)
    assert not any(is_here(url) for url in ("http://10.0.0.1/v1", "https://localhost.org/v1"))

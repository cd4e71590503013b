"""Who may ask: hosts, origins and keys, on every route."""

import json
import socket
import stat
import subprocess
import sys

import openai
import pytest
from tests.server.serving import serving
from tests.support.terminal import environment

ROUTES = [
    ("GET", "/health"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/palaver-tiny"),
    ("GET", "/v1/models/palaver-tiny/info"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
    ("GET", "/nowhere"),
]
PAGE = "https://chat.example"


def keys(home, *args):
    return subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "serve", "keys", *args],
        env=environment(home), capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def key(home):
    return keys(home, "add", "alice").stdout.strip()


@pytest.fixture(scope="module")
def server(home, key):
    args = ("--slots", "1", "--require-key", "--allow-origin", PAGE, "--allow-host", "Box.example")
    with serving(home, *args) as made:
        yield made


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_for_our_hosts_and_pages(server, key, method, path):
    own = {"authorization": f"Bearer {key}"}
    for host in ("evil.example", "127.0.0.1.evil.example", "", "a:b:c", "[", "évil".encode()):
        status, _, data = server.ask(method, path, headers=own | {"host": host})
        assert (status, json.loads(data)["error"]["type"]) == (403, "permission_error"), host
    for origin in ("http://evil.example", "null", "http://127.0.0.1", f"{PAGE}.evil", ""):
        status, headers, _ = server.ask(method, path, headers=own | {"origin": origin})
        assert status == 403, origin
        assert "access-control-allow-origin" not in headers
    assert server.ask(method, path, headers=own | {"sec-fetch-site": "cross-site"})[0] == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    status = server.ask(method, path, headers=own | link)[0]
    assert (status == 403) == (method == "POST")
    for allowed in ({"host": "box.example:80"}, {"origin": server.url}, {"origin": PAGE}):
        assert server.ask(method, path, headers=own | allowed)[0] != 403, allowed


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_but_health_needs_a_key(server, key, method, path):
    for wrong in (None, "", key, "Bearer", "Bearer x", f"Basic {key}", f"Bearer {key}x"):
        headers = {} if wrong is None else {"authorization": wrong}
        status = server.ask(method, path, headers=headers)[0]
        assert status == (200 if path.startswith("/health") else 401), wrong
    assert server.ask(method, path, headers={"authorization": f"Bearer {key}"})[0] != 401


def test_a_page_that_may_ask(server, key):
    asked = {"origin": PAGE, "access-control-request-method": "POST"}
    status, headers, _ = server.ask("OPTIONS", "/v1/chat/completions", headers=asked)
    assert (status, headers["access-control-allow-origin"]) == (204, PAGE)
    assert "authorization" in headers["access-control-allow-headers"]
    got = {"origin": PAGE, "authorization": f"Bearer {key}"}
    _, headers, _ = server.ask("GET", "/v1/models", headers=got)
    assert (headers["access-control-allow-origin"], headers["vary"]) == (PAGE, "origin")
    asked["origin"] = "https://other.example"
    assert server.ask("OPTIONS", "/v1/chat/completions", headers=asked)[0] == 403


def test_keys_come_and_go_while_the_server_runs(server, home):
    made = keys(home, "add", "bob").stdout.strip()
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=made, max_retries=0) as client:
        assert client.models.list().data
        assert "bob" in keys(home, "list").stdout
        file = home / "data" / "serve-keys.json"
        assert made not in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert keys(home, "revoke", "bob").returncode == 0
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    assert keys(home, "revoke", "bob").returncode == 2
    assert keys(home, "add", "alice").returncode == 2
    assert keys(home, "add", "a b").returncode == 2


def test_a_key_may_come_as_anthropics_clients_send_it(server, key):
    for sent, expected in ((key, 200), ("wrong", 401)):
        status, _, data = server.ask("GET", "/v1/models", headers={"x-api-key": sent})
        assert status == expected
    status, _, data = server.ask("POST", "/v1/messages", {}, {"x-api-key": "wrong"})
    assert json.loads(data)["error"]["type"] == "authentication_error"


def test_tools_run_for_keys_of_the_page_alone(server, key):
    asked = {"input": "x", "tools": [{"type": "code_interpreter"}]}
    headers = {"authorization": f"Bearer {key}"}
    status, _, data = server.ask("POST", "/v1/responses", asked, headers)
    assert (status, json.loads(data)["error"]["param"]) == (403, "tools")


def test_other_addresses_need_keys(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "serve", "--host", "0.0.0.0", "--port", "0"],
        env=environment(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "palaver serve keys add" in done.stderr


def test_requests_have_ids_and_logs_hold_no_texts(server, key):
    own = {"authorization": f"Bearer {key}", "x-request-id": "mine-1"}
    body = {"messages": [{"role": "user", "content": "my secret is xyzzy"}], "max_tokens": 2}
    assert server.ask("POST", "/v1/chat/completions", body, own)[1]["x-request-id"] == "mine-1"
    own["x-request-id"] = "a b\tc"
    answered = server.ask("POST", "/v1/chat/completions?q=xyzzy", body, own)[1]["x-request-id"]
    assert answered.startswith("req_")
    server.wait_for(f"{answered} alice POST /v1/chat/completions 200")
    assert not any("xyzzy" in line or key in line for line in server.lines)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /health HTTP/1.0\r\n\r\n",
    ],
    ids=["long", "smuggled", "length", "hosts", "tls", "proxy", "no host"],
)
def test_heads_that_are_none(server, head):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        answer = connection.makefile("rb").readline()
    assert answer.split()[1:2] in ([b"400"], [b"403"], [b"431"]), answer

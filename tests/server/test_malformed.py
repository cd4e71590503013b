"""Nothing that a client sends gives a 500 or a hang."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from tests.server.malformed import GOOD, check, requests
from tests.server.serving import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("home"), "--slots", "1", "--embeddings") as made:
        yield made


@pytest.mark.parametrize("route", sorted(GOOD))
def test_what_is_changed_is_good(server, route):
    for body in GOOD[route]:
        if "previous_response_id" not in body:
            assert check(server.port, route, json.dumps(body).encode()) == 200, body


def test_the_document_names_what_routes_take(server):
    paths = json.loads(server.ask("GET", "/openapi.json")[2])["paths"]
    assert {path for path, kinds in paths.items() if "post" in kinds} == set(GOOD)
    for path, kinds in paths.items():
        if "get" in kinds:
            found = path.replace("{model}", "palaver-tiny").replace("{response}", "resp_1")
            assert server.ask("GET", found)[0] == (404 if "resp_1" in found else 200)


@given(requests())
@settings(max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_malformed_requests_are_refused(server, request_):
    check(server.port, *request_)
    assert server.process.poll() is None

"""A server of the tiny model as it starts by default, for all tests that need no other."""

import pytest
from tests.server.serving import serving


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def server(home):
    with serving(home) as made:
        yield made


@pytest.fixture(scope="session")
def client(server):
    with server.client() as made:
        yield made

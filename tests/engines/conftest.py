"""One engine for all tests of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.engines import start

from palaver.engines.child.engine import ChildEngine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildEngine]:
    made = asyncio.run(start(tmp_path_factory.mktemp("e")))
    yield made
    asyncio.run(made.close())

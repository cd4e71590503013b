"""A store to spoil, for the tests of faults and of what is salvaged."""

from __future__ import annotations

import pytest

from palaver.core.generation import Generation
from palaver.core.messages import assistant, user
from palaver.sessions.store import Store

from .stores import talk


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "palaver.db"


@pytest.fixture
def small(path):
    """A store of two sessions and a fork, closed."""
    with Store(path) as store:
        first = store.create_session("first", "/home", "tiny")
        talk(store, first, [(f"question {i}", f"answer {i} " * 30) for i in range(12)])
        second = store.create_session("second")
        asked = store.append(second, None, user("with ids"))
        made = store.append(second, asked.id, assistant("yes"), Generation("e", "m", added=(1, 2)))
        store.mark(made.id, "good")
        fork = store.fork(first)
        talk(store, fork, [("only in the fork", "indeed " * 3000)])
    return path

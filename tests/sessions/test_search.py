"""Search: what is found, in which order, and that no query breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.core.errors import UserError
from palaver.core.log import Notice
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult, user
from palaver.sessions import search
from palaver.sessions.store import Store

from .stores import talk


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("search") / "palaver.db") as opened:
        said = [
            ("Where is Zürich?", "In Switzerland."),
            ("我在学习中文和日本語", "とても良い"),
            ("한국어 공부를 합니다", "a 50% <b>\x1b[31m zurich"),
        ]
        talk(opened, opened.create_session("travel"), said)
        session = opened.create_session()
        call = ToolCall("1", "python", '{"code": "xyzzy"}')
        answer = Message("assistant", (Reasoning("pondering llamas"), Text("visible"), call))
        row = opened.append(session, None, answer)
        opened.append(session, row.id, Message("tool", (ToolResult("1", "python", "plugh"),)))
        opened.append(session, row.id, Notice("note", "remember grue"))
        for i in range(search.FREQUENT + 10):
            opened.append(session, None, user(f"frequent number{i} " + "rare " * (i == 3)))
        yield opened


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("switzerland", "In Switzerland."),
        ("ZURICH is", "Where is Zürich?"),
        ("学习", "我在学习中文和日本語"),
        ("習", None),
        ("良い", "とても良い"),
        ("공부", "한국어 공부를 합니다"),
        ('"is Zürich"', "Where is Zürich?"),
        ('"Zürich is"', None),
        ("switz*", "In Switzerland."),
        ("switz", None),
        ("llamas", "pondering llamas visible python"),
        ("xyzzy", 'pondering llamas visible python {"code": "xyzzy"}'),
        ("plugh", "python plugh"),
        ("grue", "remember grue"),
        ("50%", "a 50% <b>"),
        ("rare frequent", "frequent number3"),
    ],
)
def test_what_is_found(store, query, found):
    hits = store.search(query)
    if found is None:
        assert hits == []
    else:
        assert hits[0].snippet.startswith(found)


def test_a_hit_says_where_it_stands(store):
    (hit,) = store.search("switzerland")
    assert (hit.session, hit.row, hit.kind, hit.title) == (1, 2, "assistant", "travel")
    assert hit.snippet[slice(*hit.found)] == "Switzerland"


def test_what_is_frequent_comes_newest_first(store):
    rows = [hit.row for hit in store.search("frequent")]
    assert rows == sorted(rows, reverse=True)
    assert len(rows) == 20
    assert len(store.search("frequent", 5)) == 5


def test_a_query_without_words_is_the_users_error(store):
    for query in ("", "  ", '"', '""', "*", "!?", "\0"):
        with pytest.raises(UserError, match="no word"):
            store.search(query)


words = st.text(min_size=1, max_size=8) | st.sampled_from(
    ['"', "*", "AND", "OR", "NEAR(", "-", ":", "世"]
)


@given(st.lists(words, max_size=5).map(" ".join))
def test_no_query_breaks_it(store, query):
    try:
        store.search(query)
    except UserError:
        assert not any(c.isalnum() for c in query.encode("utf-8", "replace").decode())


@given(st.text(max_size=400), st.lists(st.text(min_size=1, max_size=5), max_size=3))
def test_a_snippet_is_one_short_line(text, wanted):
    snippet, (start, end) = search.snippet_of(text, wanted)
    assert len(snippet) <= search.SNIPPET_CHARS + 2
    assert "\n" not in snippet
    assert 0 <= start <= end <= len(snippet)

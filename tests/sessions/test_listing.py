"""The list of sessions: one that is damaged, and those that are none."""

from __future__ import annotations

from palaver.core.messages import user
from palaver.sessions.store import Store

from .stores import talk


def test_a_damaged_entry_does_not_hide_the_other_sessions(tmp_path):
    with Store(tmp_path / "palaver.db") as store:
        rows = [store.append(store.create_session(), None, user(f"said {i}")) for i in range(3)]
        with store.db.writing() as connection:
            connection.execute("UPDATE entry SET body = x'ff' WHERE id = ?", (rows[1].id,))
        listed = {session.id: session.preview for session in store.list_sessions()}
    assert "salvage" in listed.pop(rows[1].session)
    assert sorted(listed.values()) == ["said 0", "said 2"]


def test_a_session_in_which_nothing_was_said_gives_its_number_back(tmp_path):
    path = tmp_path / "palaver.db"
    with Store(path) as first, Store(path) as second:
        assert first.create_session() == 1
        first.give_back(1)
        assert [first.create_session(), second.create_session()] == [1, 2]
        first.give_back(1)  # not the newest: its number is used up
        assert first.session(1)
        talk(second, 2, [("hello", "hi")])
        second.give_back(2)
        assert second.path(2)
        assert first.create_session() == 3
        first.journal_append(3, None, 0, "text", "half")
        first.give_back(3)
        assert second.recover(3)

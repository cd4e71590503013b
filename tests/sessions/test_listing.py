"""The list of sessions where one of them is damaged."""

from __future__ import annotations

from palaver.core.messages import user
from palaver.sessions.store import Store


def test_a_damaged_entry_does_not_hide_the_other_sessions(tmp_path):
    with Store(tmp_path / "palaver.db") as store:
        rows = [store.append(store.create_session(), None, user(f"said {i}")) for i in range(3)]
        with store.db.writing() as connection:
            connection.execute("UPDATE entry SET body = x'ff' WHERE id = ?", (rows[1].id,))
        listed = {session.id: session.preview for session in store.list_sessions()}
    assert "salvage" in listed.pop(rows[1].session)
    assert sorted(listed.values()) == ["said 0", "said 2"]

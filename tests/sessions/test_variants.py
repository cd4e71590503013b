"""What was said in the place of a message: edited, or answered again."""

import pytest

from palaver.core.errors import UserError
from palaver.core.messages import assistant, system, user
from palaver.sessions.store import Store


def test_other_ways_in_which_a_message_was_said_are_known(tmp_path):
    with Store(tmp_path / "palaver.db") as store:
        session = store.create_session()
        asked = store.append(session, None, user("a")).id
        first = store.append(session, asked, assistant("1")).id
        second = store.append(session, asked, assistant("2")).id
        store.append(session, asked, system("beside them, and no answer"))
        end = store.append(session, second, user("b")).id
        other = store.append(session, None, user("c")).id
        assert store.variants(session, end) == {asked: [asked, other], second: [first, second]}
        assert store.variants(session, other) == {other: [asked, other]}
        assert store.variants(session, None) == {}
        assert store.newest(session, second) == end
        assert store.newest(session, first) == first
        copy = store.fork(session, second)
        third = store.append(copy, asked, assistant("3")).id
        assert store.variants(copy, third) == {third: [second, third]}
        assert store.variants(session, end)[second] == [first, second]  # others' are others'
        with pytest.raises(UserError):
            store.newest(session, third)

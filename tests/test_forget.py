"""Deleting a session takes the saved states that hold its words, and no others."""

from palaver import Chatbot
from palaver.config import paths
from palaver.forget import delete_session
from palaver.models.kv import ids_of
from palaver.sessions.store import Store


def talk(*texts, **settings):
    with Chatbot(threads=1, context=512, temperature=0.0, save=True, **settings) as bot:
        for text in texts:
            bot.user_turn(text)
        bot.save_state()


def test_the_states_of_a_deleted_session_go_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    talk("Hello! " * 20, "Thanks!")
    talk("What can you do? " * 10)
    folder = paths.kv_dir()
    before = {path: ids_of(path) for path in folder.glob("*.kv")}
    assert len(before) == 2
    with Store(paths.database()) as store:
        entries, states = delete_session(store, 1, folder)
    assert (entries, states) == (4, 1)
    (left,) = folder.glob("*.kv")
    assert before[left] != next(ids for path, ids in before.items() if path != left)

"""The library's few lines, on the model that ships."""

import threading

import psutil
import pytest

from palaver import Chatbot
from palaver.core.errors import StoreError, UserError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    return tmp_path


def test_five_lines_chat():
    with Chatbot(threads=1, context=512, temperature=0.0) as bot:
        assert bot.state == "idle"
        first = bot.user_turn("Hello!")
        assert first.strip()
        assert bot.user_turn("Thanks!").strip()
        assert [m.role for m in bot.messages] == ["user", "assistant"] * 2
        assert bot.messages[1].text == first
    assert bot.state == "goodbye"
    bot.close()


def test_the_system_prompt_is_part_of_it():
    with Chatbot(threads=1, context=512, system="Be brief.") as bot:
        bot.user_turn("Hello!")
        assert [m.role for m in bot.messages] == ["system", "user", "assistant"]


def test_leaving_the_stream_stops_the_model_and_keeps_what_came():
    with Chatbot(threads=1, context=2048, temperature=2.0, max_tokens=1500) as bot:
        for _ in bot.stream("Hello!"):
            break
        assert bot.state == "idle"
        assert bot.messages[-1].role == "assistant"
        assert bot.user_turn("Thanks!") is not None


def test_nothing_is_kept_unless_asked(home):
    with Chatbot(threads=1, context=512) as bot:
        bot.user_turn("Hello!")
    assert not (home / "data" / "palaver.db").exists()
    with Chatbot(threads=1, context=512, save=True) as bot:
        bot.user_turn("Hello!")
    assert (home / "data" / "palaver.db").exists()


def test_a_model_that_is_not_there_is_a_user_error():
    with pytest.raises(UserError):
        Chatbot("no-such-model.gguf")


def test_a_store_that_can_not_be_used_is_closed_and_so_is_the_engine(home):
    (home / "data").mkdir()
    (home / "data" / "palaver.db.locks").touch()  # where the locks' folder has to be
    before = psutil.Process().children()  # other tests' may live as long as this process
    with pytest.raises(StoreError):
        Chatbot(threads=1, context=512, save=True)
    assert not [t for t in threading.enumerate() if t.name.startswith("palaver-store")]
    assert psutil.Process().children() == before


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError):
        Chatbot(temperatur=1)

"""What is cached outlives the server where the conversation does, and only there."""

import json

import pytest
from tests.server.paging import PAGE
from tests.server.serving import serving, until

from palaver.sessions.store import Store

SAID = [{"role": "user", "content": "What are you, and which tools do you know by their names?"}]


def chat(server, messages):
    """Return an answer, and how many of the prompt's tokens were cached."""
    made = server.client().chat.completions.create(
        model=server.name, messages=messages, max_tokens=40, temperature=0
    )
    assert made.usage
    assert made.usage.prompt_tokens_details
    return made.choices[0].message.content, made.usage.prompt_tokens_details.cached_tokens


def states(home):
    """Return the states that are on disk."""
    return [path for path in (home / "data" / "kv").glob("**/*") if path.is_file()]


@pytest.mark.parametrize("args", [("--capture",), ()])
def test_a_captured_chat_goes_on_in_another_server_without_being_read_again(tmp_path, args):
    with serving(tmp_path, *args) as server:
        answer, _ = chat(server, SAID)
        assert server.end() == 0
    assert len(states(tmp_path)) == len(args)
    more = [*SAID, {"role": "assistant", "content": answer}, {"role": "user", "content": "Thanks!"}]
    with serving(tmp_path, *args) as server:
        cached = chat(server, more)[1]
    assert (cached > 40) == bool(args)


@pytest.mark.parametrize("args", [("--no-save",), ()])
def test_a_session_of_the_page_is_kept_with_its_cache(tmp_path, args):
    text = "What are you, and which tools do you know by their names?"
    with serving(tmp_path, *args) as server:
        sampling = {"max_tokens": 40, "temperature": 0}
        body = {"text": text, "sampling": sampling}
        assert server.ask("POST", "/page/api/sessions", body, PAGE)[0] == 200

        def answered():
            listed = json.loads(server.ask("GET", "/page/api/sessions", headers=PAGE)[2])
            return not listed["sessions"][0]["busy"]

        until(answered)
        assert server.end() == 0
    assert bool(states(tmp_path)) == (not args)
    if not args:
        with Store(tmp_path / "data" / "palaver.db") as store:
            assert len(store.path(1)) == 2

"""The page's routes: the session store over HTTP, stored first, one writer at a time."""

import signal
from contextlib import closing

import psutil
import pytest
from tests.server.paging import PAGE, ask, post, refused, say, settled, texts, tip, until, watching
from tests.server.serving import Serving, serving

from palaver.core.log import CallStarted
from palaver.core.messages import Message, ToolCall, ToolResult, assistant, user
from palaver.sessions.store import Store

ENDLESS = {"logit_bias": {"2": -100}}  # palaver-tiny's end of a message: it is never said


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    with serving(home, "--tools", "on", "--no-sandbox") as made:
        yield made


@pytest.fixture
def store(home, server):
    ask(server, "GET", "sessions")
    with Store(home / "data" / "palaver.db") as made:
        yield made


def test_only_the_page_may_ask(server):
    session, _ = say(server, "Hello!")
    for headers in (
        {},
        {"x-palaver-page": "1", "sec-fetch-site": "same-site"},
        {"x-palaver-page": "1", "sec-fetch-site": "none"},
        {"x-palaver-page": "1", "origin": "http://evil.example"},
        {"x-palaver-page": "1", "host": "evil.example"},
    ):
        for method, path in (
            ("GET", "sessions"),
            ("GET", "about"),
            ("GET", f"sessions/{session}/events"),
            ("POST", f"sessions/{session}/say"),
            ("POST", f"sessions/{session}/delete"),
            ("POST", "search"),
        ):
            body = {"text": "x"} if method == "POST" else None
            assert ask(server, method, path, body, headers)[0] == 403, (headers, path)
    plain = PAGE | {"content-type": "text/plain"}
    assert ask(server, "POST", "search", {"text": "x"}, plain)[0] == 415


def test_what_is_said_streams_and_is_stored_before_it_is_seen(server, store):
    session = post(server, "sessions", text="Hello! Who are you?")["id"]
    assert store.path(session)[-1].entry is not None  # on disk when the answer to POST came
    with watching(server, session) as events:
        state = next(events)
        _, before = until(events, "idle") if state["busy"] else (None, [])
    assert store.path(session)[0].entry == user("Hello! Who are you?")
    answer = store.path(session)[-1]
    assert answer.generation.exact
    assert texts(settled(server, session))[-1] == answer.entry.text
    streamed = "".join(event["text"] for event in before if event["type"] == "text")
    assert answer.entry.text.endswith(streamed)


def test_nothing_is_read_twice(server):
    session, state = say(server, "Hello! Who are you?")
    post(server, f"sessions/{session}/say", text="Who made you?", tip=tip(state))
    timings = settled(server, session)["rows"][-1]["generation"]["timings"]
    assert timings["reused"] > timings["prefilled"]


def test_what_the_terminal_says_is_seen(server, store):
    session = store.create_session()
    row = store.append(session, None, user("from the terminal"))
    with watching(server, session) as events:
        state = next(events)
        assert state["blocked"]
        assert texts(state) == ["from the terminal"]
        assert refused(server, f"sessions/{session}/say", text="x", tip=row.id) == (
            409,
            "elsewhere",
        )
        row = store.append(session, row.id, assistant("and its answer"))
        state, _ = until(events, "session")
        assert texts(state) == ["from the terminal", "and its answer"]
        store.release(session)
        state, _ = until(events, "session", blocked=None)
    post(server, f"sessions/{session}/say", text="Hello!", tip=row.id)
    assert len(texts(settled(server, session))) == 4
    store.claim(session)  # the terminal can go on with it: nobody has to close a page


def test_a_session_that_is_written_elsewhere_goes_on_in_a_copy(server, store):
    session = store.create_session("mine")
    row = store.append(session, None, assistant("first"))
    copy = post(server, f"sessions/{session}/fork")["id"]
    post(server, f"sessions/{copy}/say", text="Hello!", tip=row.id)
    assert texts(settled(server, copy))[:2] == ["first", "Hello!"]
    assert len(store.path(session)) == 1


def test_a_page_that_did_not_see_the_newest_says_nothing(server):
    session, state = say(server, "Hello!")
    for what in ("say", "edit"):
        stale = refused(server, f"sessions/{session}/{what}", text="x", tip=tip(state) - 1, row=1)
        assert stale == (409, "moved")
    for what in ("retry", "undo", "redo", "continue"):
        assert refused(server, f"sessions/{session}/{what}", tip=None) == (409, "moved")
    assert tip(settled(server, session)) == tip(state)


def test_stop_keeps_what_came_and_it_goes_on(server):
    session = post(server, "sessions", text="Tell me a story.", sampling=ENDLESS)["id"]
    with watching(server, session) as events:
        until(events, "text")
        assert refused(server, f"sessions/{session}/say", text="x", tip=None) == (409, "busy")
        assert refused(server, f"sessions/{session}/delete")[1] == "busy"
        post(server, f"sessions/{session}/stop")
        idle, _ = until(events, "idle")
    assert idle["step"] == "cut off"
    state = settled(server, session)
    cut = texts(state)[-1]
    assert cut
    assert state["rows"][-1]["entry"]["stop"] == "cancelled"
    more = {"max_tokens": 8}
    post(server, f"sessions/{session}/continue", tip=tip(state), sampling=more)
    whole = texts(settled(server, session))
    assert len(whole) == 2
    assert whole[-1].startswith(cut)


def _waits(event):
    """Say whether a turn waits for others, or is over; None where that is not known yet."""
    if "other requests" in event.get("why", ""):
        return "waits"
    over = event["type"] in ("text", "idle") or event.get("busy") is False
    return "over" if over else None


def test_who_waits_for_others_is_told_so_and_can_stop(tmp_path):
    with closing(Serving(tmp_path, "--slots", "1")) as server:
        for _ in range(20):  # an answer that fills the context may be over before another waits
            early = post(server, "sessions", text="Tell me a story.", sampling=ENDLESS)["id"]
            late = post(server, "sessions", text="Hello!")["id"]
            with watching(server, late) as events:  # the model may not even be loaded yet
                if next(filter(None, map(_waits, events))) == "waits":
                    post(server, f"sessions/{late}/stop")
                    until(events, "idle", step="unanswered")
                    break
            settled(server, early)
        else:
            pytest.fail("none of the answers was under way when another one was asked for")
        post(server, f"sessions/{early}/stop")
        state = settled(server, late)
        post(server, f"sessions/{late}/continue", tip=tip(state))
        assert "palaver" in texts(settled(server, late))[-1]


def test_edit_retry_undo_and_redo_move_in_the_tree(server):
    session, state = say(server, "What are you?")
    row = state["rows"][0]["id"]
    post(server, f"sessions/{session}/edit", text="Who made you?", row=row, tip=tip(state))
    state = settled(server, session)
    assert texts(state)[0] == "Who made you?"
    post(server, f"sessions/{session}/retry", tip=tip(state))
    again = settled(server, session)
    assert texts(again) == texts(state)
    assert tip(again) != tip(state)
    first, second = again["rows"][-1]["variants"]
    assert (first, second) == (tip(state), tip(again))
    post(server, f"sessions/{session}/go", row=first, tip=second)
    assert tip(settled(server, session)) == first
    before = state["rows"][0]["variants"][0]
    post(server, f"sessions/{session}/go", row=before, tip=first)
    assert texts(settled(server, session))[0] == "What are you?"
    post(server, f"sessions/{session}/go", row=second, tip=tip(settled(server, session)))
    assert tip(settled(server, session)) == second
    post(server, f"sessions/{session}/undo", tip=tip(again))
    assert settled(server, session)["rows"] == []
    post(server, f"sessions/{session}/redo", tip=None)
    assert texts(settled(server, session)) == texts(again)
    wrong = refused(server, f"sessions/{session}/edit", text="x", row=tip(again), tip=tip(again))
    assert wrong[0] == 400


def test_sessions_are_listed_searched_named_and_removed(server):
    session, _ = say(server, "Hello, zanzibar!")
    post(server, f"sessions/{session}/title", title="An island")
    known = ask(server, "GET", "sessions")[1]["sessions"]
    assert next(one for one in known if one["id"] == session)["title"] == "An island"
    assert session in [hit["session"] for hit in post(server, "search", text="zanzibar")["hits"]]
    assert refused(server, "search", text="...")[0] == 400
    with watching(server, session) as events:
        next(events)
        post(server, f"sessions/{session}/delete")
        until(events, "gone")
    assert refused(server, f"sessions/{session}/say", text="x") == (404, "no_session")
    assert post(server, "search", text="zanzibar")["hits"] == []


def test_a_call_runs_only_by_the_answer_to_what_was_shown(server, store):
    session = post(server, "sessions", text="What is 12*34?")["id"]
    with watching(server, session) as events:
        state = next(events)
        question = state["question"] or until(events, "question")[0]["question"]
        assert question["preview"]["text"].strip() == "print(12*34)"
        right = question["digest"]
        wrong = refused(server, f"sessions/{session}/answer", digest="0" * 32, allowed=True)
        assert wrong == (409, "moved")
        with watching(server, session) as others:  # whoever looks later sees the question, too
            assert next(others)["question"]["digest"] == right
        post(server, f"sessions/{session}/answer", digest=right, allowed=True)
        until(events, "idle")
    late = refused(server, f"sessions/{session}/answer", digest=right, allowed=True)
    assert late == (409, "moved")
    kinds = [type(row.entry).__name__ for row in store.path(session)]
    assert kinds == ["Message", "Message", "Approval", "CallStarted", "Message", "Message"]
    assert store.path(session)[2].entry.digest == right
    assert "408" in store.path(session)[-1].entry.text


def test_what_undo_can_not_undo_is_said(server, store):
    session = store.create_session()
    tip = None
    for entry in (
        user("go"),
        Message("assistant", (ToolCall("1", "python", "{}"),)),
        CallStarted("1", "python"),
        Message("tool", (ToolResult("1", "python", "done"),)),
        assistant("done"),
    ):
        tip = store.append(session, tip, entry).id
    store.release(session)
    with watching(server, session) as events:
        next(events)
        post(server, f"sessions/{session}/undo", tip=tip)
        note, before = until(events, "note")
    assert note["text"] == "not undone: what python did"
    assert before[-1]["rows"] == []


def test_wrong_values_are_named(server):
    status, answer = ask(
        server, "POST", "sessions", {"text": "x", "sampling": {"temperature": "hot"}}
    )
    assert (status, answer["error"]["param"]) == (400, "sampling.temperature")
    assert ask(server, "POST", "sessions", {"sampling": {}})[1]["error"]["param"] == "text"


def test_a_kill_loses_nothing_that_was_seen(tmp_path):
    with serving(tmp_path) as server:
        session = post(server, "sessions", text="Tell me a story.", sampling=ENDLESS)["id"]
        seen = ""
        with watching(server, session) as events:
            while len(seen) < 40:
                seen += until(events, "text")[0]["text"]
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
    with serving(tmp_path, "--drain", "0") as server:
        state = settled(server, session)
        assert texts(state)[0] == "Tell me a story."
        assert seen in texts(state)[1]
        assert state["step"] == "cut off"
        assert ask(server, "GET", "about")[1]["tools"] == []  # without --tools none is on
        session = post(server, "sessions", text="Tell me a story.", sampling=ENDLESS)["id"]
        with watching(server, session) as events:
            until(events, "text")
            server.process.send_signal(signal.SIGTERM)
            idle, before = until(events, "idle")
            until(events, "ending")
            assert [*events] == []
        assert idle["step"] == "cut off"
        assert server.process.wait(60) == 0
    with Store(tmp_path / "data" / "palaver.db") as store:
        answer = store.path(session)[-1].entry
        assert answer.stop == "cancelled"
        told = "".join(event["text"] for event in before if event["type"] == "text")
        assert told in answer.text
        store.claim(session)


def test_an_engine_that_dies_costs_one_answer(server):
    session = post(server, "sessions", text="Tell me a story.", sampling=ENDLESS)["id"]
    with watching(server, session) as events:
        until(events, "text")
        for child in psutil.Process(server.process.pid).children():
            child.kill()
        assert "engine" in until(events, "error")[0]["message"]
        until(events, "idle", step="cut off")
    state = settled(server, session)
    more = ENDLESS | {"max_tokens": 4}
    post(server, f"sessions/{session}/continue", tip=tip(state), sampling=more)
    assert settled(server, session)["rows"][-1]["entry"]["stop"] == "length"


@pytest.mark.parametrize("watched", [True, False])
def test_the_end_of_the_server_lets_an_answer_end(tmp_path, watched):
    with serving(tmp_path) as server:
        asked = {"text": "Tell me a story.", "sampling": ENDLESS | {"max_tokens": 400}}
        session = post(server, "sessions", **asked)["id"]
        with watching(server, session) as events:
            until(events, "text")
            if watched:
                server.process.send_signal(signal.SIGTERM)
                until(events, "idle")
                until(events, "ending")
        if not watched:
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    with Store(tmp_path / "data" / "palaver.db") as store:
        answer = store.path(session)[-1]
    assert answer.entry.stop == "length"
    assert answer.generation.timings.decoded == 400


def test_a_question_does_not_hold_up_the_end(tmp_path):
    with serving(tmp_path, "--tools", "on", "--no-sandbox", "--drain", "300") as server:
        session = post(server, "sessions", text="What is 12*34?")["id"]
        with watching(server, session) as events:
            if not next(events)["question"]:
                until(events, "question")
            server.process.send_signal(signal.SIGTERM)
            until(events, "ending")
        assert server.process.wait(60) == 0

"""What the page asks of the server, without a browser."""

import json
from contextlib import contextmanager
from http.client import HTTPConnection

PAGE = {"x-palaver-page": "1"}


def ask(server, method, path, body=None, headers=PAGE):
    """Ask one of the page's routes; return status and JSON."""
    status, _, data = server.ask(method, f"/page/api/{path}", body, headers)
    return status, json.loads(data)


def post(server, path, **body):
    """Ask for something that is done."""
    status, answer = ask(server, "POST", path, body)
    assert status == 200, answer
    return answer


def refused(server, path, **body):
    """Ask for something that is not done; return status and code."""
    status, answer = ask(server, "POST", path, body)
    return status, answer["error"]["code"]


@contextmanager
def watching(server, session):
    """Watch a session: an iterator of its events."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", f"/page/api/sessions/{session}/events", headers=PAGE)
        answer = connection.getresponse()
        assert answer.status == 200

        def events():
            for line in answer:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

        yield events()
    finally:
        connection.close()


def until(events, kind, **like):
    """Return the next event of a kind, and those before it."""
    before = []
    for event in events:
        if event["type"] == kind and all(event[k] == v for k, v in like.items()):
            return event, before
        before.append(event)
    raise AssertionError([event["type"] for event in before])


def settled(server, session):
    """Wait until nothing is under way; return the session's state."""
    with watching(server, session) as events:
        state = next(events)
        if state["busy"]:
            until(events, "idle")
    with watching(server, session) as events:
        return next(events)


def say(server, text, **more):
    """Begin a session; return its number and its state once it was answered."""
    session = post(server, "sessions", text=text, **more)["id"]
    return session, settled(server, session)


def texts(state):
    """Return what was said."""
    said = [row["entry"] for row in state["rows"] if row["entry"]["type"] == "message"]
    return ["".join(part.get("text", "") for part in entry["parts"]) for entry in said]


def tip(state):
    return state["rows"][-1]["id"]

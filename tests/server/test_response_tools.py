"""The server's own tools in /v1/responses: by the owner's rules, as items of the API."""

import json

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.server.serving import serving, until
from tests.server.test_load import stream
from tests.server.test_responses import READ, ask

from palaver.core.log import CallStarted
from palaver.sessions.store import Store

CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
FILES = {"type": "mcp", "server_label": "palaver", "server_url": "any"}
RULES = "".join(
    f'[[consent.rules]]\nthen = "allow"\ntool = "{name}"\n' for name in ("python", "wait")
)
WAIT = '''
import asyncio
from pathlib import Path
from palaver import tool

@tool
async def wait() -> str:
    """Wait for what never happens."""
    Path("begun").touch()
    try:
        await asyncio.Event().wait()
    finally:
        Path("ended").touch()
'''
SUM = "What is 12*34?"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = tmp_path_factory.mktemp("home")
    (made / "config").mkdir()
    (made / "config" / "config.toml").write_text(RULES)
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = tmp_path_factory.mktemp("place")
    (made / "notes.txt").write_text("milk")
    (made / "mine.py").write_text(WAIT)
    return made


@pytest.fixture(scope="module")
def own(house, place):
    """A server whose owner lets python run; of the other tools those that only read."""
    with serving(house, "--tools", "on,mine.py", "--no-sandbox", cwd=place) as made:
        yield made


@pytest.fixture(scope="module")
def user(own):
    with own.client() as made:
        yield made


def test_code_runs_on_the_server(user):
    done = ask(user, SUM, tools=[CODE])
    run, spoke = done.output
    assert (run.type, run.status) == ("code_interpreter_call", "completed")
    assert run.code == "print(12*34)"
    assert "408" in run.outputs[0].logs
    assert "408" in spoke.content[0].text
    assert done.status == "completed"
    # Two answers were made, and the second one read nothing again but what is new.
    assert done.usage.input_tokens_details.cached_tokens > done.usage.input_tokens / 4


def test_a_stream_tells_what_runs(user):
    events = list(ask(user, SUM, tools=[CODE], stream=True))
    kinds = [event.type for event in events]
    begun = kinds.index("response.output_item.added")
    assert kinds[begun : begun + 7] == [
        "response.output_item.added",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.output_item.done",
    ]
    assert kinds[-1] == "response.completed"
    final = events[-1].response
    assert [item.type for item in final.output] == ["code_interpreter_call", "message"]
    assert [e.item for e in events if e.type == "response.output_item.done"] == final.output
    for event in events:  # the SDK makes its types without looking at them
        TypeAdapter(ResponseStreamEvent).validate_python(event.to_dict())


def test_a_kept_response_holds_its_calls_and_goes_on(user, house):
    made = ask(user, SUM, tools=[CODE])
    again = user.responses.retrieve(made.id)
    assert [item.to_dict() | {"id": ""} for item in again.output] == [
        item.to_dict() | {"id": ""} for item in made.output
    ]
    assert again.usage == made.usage
    more = ask(user, "Thanks!", previous_response_id=made.id)
    assert more.usage.input_tokens > made.usage.input_tokens / 2
    with Store(house / "data" / "palaver.db", readonly=True) as store:
        rows = store.path(int(made.id.split("_")[1]))
        begun = [row.entry.name for row in rows if isinstance(row.entry, CallStarted)]
        assert begun == ["python"]
        assert all(row.generation.exact for row in rows if row.generation)


def test_what_is_not_kept_goes_on_by_its_items(user):
    made = ask(user, SUM, tools=[CODE], store=False)
    talk = [
        {"role": "user", "content": SUM},
        *(item.to_dict() for item in made.output),
        {"role": "user", "content": "Thanks!"},
    ]
    more = ask(user, talk, tools=[CODE], store=False)
    assert more.status == "completed"
    # All of it is in the cache but for what was said now: the ids were found again.
    cached = more.usage.input_tokens_details.cached_tokens
    assert more.usage.input_tokens - cached < 20


def test_files_are_read_as_of_an_mcp_server(own):
    raw = own.post("/v1/responses", input="read notes.txt", tools=[FILES])
    call, spoke = Response.model_validate(raw).output
    assert (call.type, call.name, call.output) == ("mcp_call", "read_file", "milk")
    assert json.loads(call.arguments) == {"path": "notes.txt"}
    assert spoke.content[0].text == "The file says: milk"


def test_what_the_rules_do_not_allow_does_not_run(user, place):
    before = sorted(place.iterdir())
    events = list(ask(user, "Write 'hello' into hello.txt", tools=[FILES], stream=True))
    call = events[-1].response.output[0]
    assert (call.type, call.name, call.status) == ("mcp_call", "write_file", "failed")
    assert "nobody is there to be asked" in call.error.content[0]["text"]
    assert call.output is None
    assert "response.mcp_call.failed" in [event.type for event in events]
    assert sorted(place.iterdir()) == before
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event.to_dict())


def test_a_function_of_the_client_is_left_to_it(user):
    made = ask(user, "read notes.txt", tools=[CODE, READ])
    (call,) = made.output
    assert (call.type, call.name) == ("function_call", "read_file")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "bread"}
    done = ask(user, [result], tools=[CODE, READ], previous_response_id=made.id)
    assert done.output_text == "The file says: bread"


def test_a_tool_that_has_to_be_called_is_called_once(user):
    done = ask(user, SUM, tools=[CODE], tool_choice={"type": "code_interpreter"})
    kinds = [item.type for item in done.output]
    assert (kinds[0], kinds[-1]) == ("code_interpreter_call", "message")


def test_who_leaves_ends_the_tool_that_runs(own, place):
    choice = {"type": "mcp", "server_label": "palaver", "name": "wait"}
    with stream(own, "/v1/responses", input="Wait!", tools=[FILES], tool_choice=choice):
        until((place / "begun").exists)
        assert not (place / "ended").exists()
    until((place / "ended").exists)


def test_chats_run_nothing(own):
    asked = {"messages": [{"role": "user", "content": SUM}]}
    _, error = own.refused("/v1/chat/completions", **asked, tools=[CODE])
    assert error["param"] == "tools[0].type"


WRONG = [
    ([CODE], "tools[0].type"),
    ([READ, FILES | {"allowed_tools": ["read_file"]}], "tools[1].allowed_tools"),
    ([FILES | {"server_label": "other"}], "tools[0].server_label"),
]


@pytest.mark.parametrize(("tools", "param"), WRONG)
def test_a_server_without_tools_says_so(server, tools, param):
    status, error = server.refused("/v1/responses", input="x", tools=tools)
    assert (status, error["param"]) == (400, param)


def test_python_is_the_code_interpreter_alone(user):
    with pytest.raises(openai.BadRequestError, match="python"):
        ask(user, SUM, tools=[FILES | {"allowed_tools": ["python"]}])
    own = {"type": "function", "name": "python", "parameters": {"type": "object"}}
    with pytest.raises(openai.BadRequestError, match="two tools"):
        ask(user, SUM, tools=[CODE, own])

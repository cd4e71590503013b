"""/v1/responses with the openai SDK: events, items, and going on by an id."""

import json

import openai
import pytest

from palaver.core.messages import Message
from palaver.models.prompt import all_ids
from palaver.sessions.store import Store

READ = {
    "type": "function",
    "name": "read_file",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "start": {"type": "integer"},
            "end": {"type": "integer"},
        },
        "required": ["path"],
    },
}
HELLO = "Hello! Who are you?"


def ask(client, text=HELLO, **asked):
    return client.responses.create(model="palaver-tiny", input=text, **asked)


def test_an_answer(client):
    done = ask(client)
    assert "palaver-tiny" in done.output_text
    assert (done.status, done.output[0].type) == ("completed", "message")
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens


def test_events_tell_the_same(client):
    whole = ask(client, store=False)
    events = list(ask(client, stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = [e.type for e in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert len({e.response.id for e in events if hasattr(e, "response")}) == 1


def test_the_sdk_joins_a_stream(client):
    with client.responses.stream(model="palaver-tiny", input="read notes.txt", tools=[READ]) as s:
        for _ in s:
            pass
        final = s.get_final_response()
    assert json.loads(final.output[0].arguments) == {"path": "notes.txt"}


def test_a_limit_makes_it_incomplete(client):
    done = ask(client, max_output_tokens=3)
    assert (done.status, done.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    *_, last = ask(client, max_output_tokens=3, stream=True)
    assert (last.type, last.response.output[0].status) == ("response.incomplete", "incomplete")


def test_going_on_from_a_response(client, home):
    first = ask(client)
    second = ask(client, "Thanks!", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    # The earlier prompt and answer are in the cache, but for the last token.
    cached = second.usage.input_tokens_details.cached_tokens
    assert cached >= first.usage.total_tokens - 1
    other = ask(client, "Goodbye!", previous_response_id=first.id, instructions="Be brief.")
    assert other.usage.input_tokens > second.usage.input_tokens
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        session = int(first.id.split("_")[1])
        said = [r.entry.text for r in store.path(session) if isinstance(r.entry, Message)]
        assert said == [HELLO, first.output_text, "Be brief.", "Goodbye!", other.output_text]
        assert len(store.branches(session)) == 2


def test_a_kept_answer_has_all_its_ids(client, home):
    first = ask(client, "Who made you?", store=False)  # known to the server, not in the store
    talk = [{"role": "user", "content": "Who made you?"}, first.output[0].to_dict()]
    second = ask(client, [*talk, {"role": "user", "content": "Thanks!"}])
    cached = second.usage.input_tokens_details.cached_tokens
    assert cached >= first.usage.total_tokens - 1
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        rows = store.path(int(second.id.split("_")[1]))
    ids = all_ids(rows[-1], {row.id: row for row in rows})
    assert len(ids) == second.usage.total_tokens


def test_a_response_is_found_again(client):
    made = ask(client)
    again = client.responses.retrieve(made.id)
    assert again.output_text == made.output_text
    assert again.usage == made.usage


def test_only_who_was_told_an_id_may_go_on_from_it(server, client):
    made = ask(client).id
    kind, session, row, proof = made.split("_")
    for wrong in (
        "resp_x",
        f"{kind}_{session}_{int(row) - 1}_{proof}",
        f"{kind}_{session}_{row}_{'0' * 32}",
        made + "0",
        "é" * 10,
        ask(client, store=False).id,
    ):
        with pytest.raises(openai.NotFoundError):
            ask(client, previous_response_id=wrong)


def test_calls_and_their_results(client):
    made = ask(client, "read notes.txt", tools=[READ])
    (call,) = made.output
    assert (call.type, call.name) == ("function_call", "read_file")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Buy milk."}
    done = ask(client, [result], tools=[READ], previous_response_id=made.id)
    assert done.output_text
    whole = [{"role": "user", "content": "read notes.txt"}, call.model_dump(), result]
    alone = ask(client, whole, tools=[READ], store=False)
    assert alone.output_text == done.output_text
    assert alone.usage.input_tokens == done.usage.input_tokens


def test_forms_and_forced_calls(client):
    schema = {
        "type": "object",
        "properties": {"sunny": {"type": "boolean"}},
        "required": ["sunny"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    said = client.responses.create(model="palaver-tiny", input=HELLO, text=form).output_text
    assert isinstance(json.loads(said)["sunny"], bool)
    lamp = {"type": "function", "name": "lamp", "strict": False, "parameters": schema}
    made = ask(client, tools=[lamp], tool_choice={"type": "function", "name": "lamp"})
    assert isinstance(json.loads(made.output[0].arguments)["sunny"], bool)


WRONG = [
    ({"input": []}, "input"),
    ({"input": [{"type": "image"}]}, "input[0].type"),
    ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [5]}]}, "input[0].content[0]"),
    ({"input": [{"type": "function_call_output", "call_id": "q", "output": "x"}]},
     "input[0].call_id"),
    ({"input": [{"type": "function_call", "call_id": "q"}]}, "input[0].name"),
    ({"input": [{"type": "mcp_call", "id": "q", "name": "f", "arguments": "{}", "error": 5}]},
     "input[0].error"),
    ({"input": [{"type": "mcp_call", "id": "q", "name": "f", "arguments": "{}"}]},
     "input[0].output"),
    ({"input": [{"type": "code_interpreter_call", "id": "q", "code": "x", "outputs": None}]},
     "input[0].outputs"),
    ({"input": 5}, "input"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "param"), WRONG, ids=[str(w)[:50] for w, _ in WRONG])
def test_the_wrong_field_is_named(server, wrong, param):
    status, error = server.refused("/v1/responses", **{"input": "x"} | wrong)
    assert (status, error["param"]) == (400, param), error

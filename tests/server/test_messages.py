"""/v1/messages with the anthropic SDK: answers, events, tools, thinking, errors."""

import json

import anthropic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter
from tests.server.serving import serving
from tests.server.test_chat import WHERE
from tests.server.test_dialogues import DATA
from tests.server.test_load import stream
from tests.support.terminal import tiny

HELLO = [{"role": "user", "content": "Hello! Who are you?"}]
ASK = [{"role": "user", "content": "read notes.txt"}]
READ = {
    "name": "read_file",
    "input_schema": {"type": "object", "properties": WHERE, "required": ["path"]},
}
FORM = {
    "type": "json_schema",
    "schema": {
        "type": "object",
        "properties": {"sunny": {"type": "boolean"}},
        "required": ["sunny"],
        "additionalProperties": False,
    },
}
EVENT = TypeAdapter(RawMessageStreamEvent)


def sdk(server):
    return anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0)


@pytest.fixture(scope="module")
def claude(server):
    with sdk(server) as made:
        yield made


def ask(client, messages=HELLO, **asked):
    given = {"model": "palaver-tiny", "max_tokens": 200}
    return client.messages.create(messages=messages, **given | asked)


def test_an_answer(claude, server):
    made = ask(claude)
    assert "palaver-tiny" in made.content[0].text
    assert (made.role, made.stop_reason, made.stop_sequence) == ("assistant", "end_turn", None)
    raw = server.post("/v1/messages", messages=HELLO, max_tokens=200)
    again = Message.model_validate(raw)
    assert again.content == made.content
    # What was read before is told apart from what is read now; their sum is the prompt.
    usage = again.usage
    assert usage.cache_read_input_tokens > 0
    counted = claude.messages.count_tokens(model="palaver-tiny", messages=HELLO).input_tokens
    assert usage.input_tokens + usage.cache_read_input_tokens == counted


def test_a_stream_tells_the_same(claude):
    whole = ask(claude)
    events = list(ask(claude, stream=True))
    for event in events:
        EVENT.validate_python(event.to_dict())
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_delta") > 1
    with claude.messages.stream(model="palaver-tiny", max_tokens=200, messages=HELLO) as made:
        text = "".join(made.text_stream)
        final = made.get_final_message()
    assert text == final.content[0].text == whole.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_a_system_prompt_and_limits(claude):
    plain = claude.messages.count_tokens(model="palaver-tiny", messages=HELLO)
    told = {"messages": HELLO, "system": [{"type": "text", "text": "Be brief."}]}
    assert claude.messages.count_tokens(model="palaver-tiny", **told).input_tokens > (
        plain.input_tokens
    )
    cut = ask(claude, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    for sequences in ([" tiny"], ["never", "demonstration model"]):
        ended = ask(claude, stop_sequences=sequences)
        assert (ended.stop_reason, ended.stop_sequence) == ("stop_sequence", sequences[-1])
        assert sequences[-1] not in ended.content[0].text
    assert ask(claude, stop_sequences=["never"]).stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_and_its_result(claude, streamed):
    given = {"model": "palaver-tiny", "max_tokens": 200, "tools": [READ]}
    if streamed:
        with claude.messages.stream(messages=ASK, **given) as events:
            made = events.get_final_message()
    else:
        made = claude.messages.create(messages=ASK, **given)
    (call,) = made.content
    assert (made.stop_reason, call.name, call.input) == (
        "tool_use",
        "read_file",
        {"path": "notes.txt"},
    )
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "milk"}
    talk = [*ASK, {"role": "assistant", "content": made.content}]
    done = claude.messages.create(messages=[*talk, {"role": "user", "content": [result]}], **given)
    assert done.content[0].text == "The file says: milk"
    assert done.usage.cache_read_input_tokens >= made.usage.output_tokens  # nothing is read twice


def test_a_tool_that_has_to_be_called(claude):
    lamp = {"name": "switch_lamp", "input_schema": FORM["schema"]}
    for choice in ({"type": "any"}, {"type": "tool", "name": "switch_lamp"}):
        (call,) = ask(claude, tools=[lamp], tool_choice=choice).content
        assert isinstance(call.input["sunny"], bool)
    made = ask(claude, ASK, tools=[READ], tool_choice={"type": "none"})
    assert made.stop_reason == "end_turn"


def test_a_form(claude):
    made = ask(claude, output_config={"format": FORM})
    assert isinstance(json.loads(made.content[0].text)["sunny"], bool)


def test_thinking(tmp_path):
    args = ("--slots", "1", "--context", "1024")
    with (
        serving(tmp_path, *args, model=DATA / "palaver-nano.gguf") as server,
        sdk(server) as client,
    ):
        asked = {"model": "palaver-nano", "max_tokens": 200}
        talk = [{"role": "user", "content": "What is 2 + 2?"}]
        thought, spoke = client.messages.create(messages=talk, **asked).content
        assert (thought.type, spoke.type) == ("thinking", "text")
        assert "easy" in thought.thinking
        with client.messages.stream(messages=talk, **asked) as events:
            final = events.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text"]
        assert final.content[0].thinking == thought.thinking
        assert final.usage.output_tokens_details.thinking_tokens > 3
        hidden = client.messages.create(messages=talk, thinking={"type": "disabled"}, **asked)
        assert [block.type for block in hidden.content] == ["text"]
        talk += [{"role": "assistant", "content": final.content}, *HELLO]
        assert client.messages.create(messages=talk, **asked).usage.cache_read_input_tokens > 0


WRONG = [
    ({"max_tokens": 0}, "max_tokens"),
    ({"extra_body": {"temperature": "hot"}}, "temperature"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
    ({"messages": [*HELLO, {"role": "assistant", "content": "I"}]}, "messages[1]"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [
        {"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]},
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "q"}]}]},
     "messages[0].content[0].tool_use_id"),
    ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
    ({"tool_choice": {"type": "tool", "name": "f"}}, "tool_choice"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"output_config": {"format": {"type": "yaml"}}}, "output_config.format"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "field"), WRONG, ids=[str(w)[:60] for w, _ in WRONG])
def test_what_is_wrong_is_told_as_anthropic_tells_it(claude, wrong, field):
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(claude, **wrong)
    error = refused.value.body
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert error["error"]["message"].startswith(field)


def test_the_model_is_listed(claude):
    (model,) = claude.models.list()
    assert (model.id, model.type) == ("palaver-tiny", "model")
    assert claude.models.retrieve("palaver-tiny").created_at == model.created_at


def test_other_errors_are_anthropics_too(claude, server):
    with pytest.raises(anthropic.NotFoundError) as refused:
        ask(claude, model="other")
    assert refused.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        claude.get("/v1/messages/batches", cast_to=object)
    status, _, data = server.ask("POST", "/v1/messages", HELLO)
    assert (status, json.loads(data)["type"]) == (400, "error")


def test_an_error_in_the_middle_is_an_event(tmp_path):
    args = ("--slots", "1", "--context", "16384", "--drain", "0")
    with serving(tmp_path, *args, model=tiny()) as server:
        given = {"messages": HELLO, "max_tokens": 16000}
        with stream(server, "/v1/messages", **given) as rest:
            server.process.terminate()
            *_, last = [json.loads(line[6:]) for line in rest if line.startswith(b"data: ")]
    assert last["type"] == "error"
    assert last["error"]["type"] == "overloaded_error"

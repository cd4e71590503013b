"""/v1/chat/completions with the openai SDK and with plain HTTP."""

import asyncio
import json
from typing import Literal

import openai
import pydantic
import pytest

HELLO = [{"role": "user", "content": "Hello! Who are you?"}]


def function(name, **properties):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WHERE = {"path": {"type": "string"}, "start": {"type": "integer"}, "end": {"type": "integer"}}
READ = function("read_file", **WHERE)
READ["function"]["parameters"]["required"] = ["path"]
CLOCK = function("get_time", zone={"$ref": "#/$defs/zone"})
CLOCK["function"]["parameters"]["$defs"] = {"zone": {"enum": ["UTC", "CET"]}}
LAMP = function("switch_lamp", on={"type": "boolean"})
ASK = [{"role": "user", "content": "read notes.txt"}]
WILD = {"temperature": 2, "top_p": 1, "extra_body": {"min_p": 0, "top_k": 0}}
STORY = [{"role": "user", "content": "Xyzzy plugh?"}]


def chat(client, messages=None, **asked):
    return client.chat.completions.create(model="palaver-tiny", messages=messages or HELLO, **asked)


def said(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_an_answer_streams(client):
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "palaver-tiny" in said(chunks)
    assert len({c.id for c in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usage = chunks[-1].usage
    assert usage.completion_tokens >= len(chunks) - 4
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_an_answer_whole_says_what_was_streamed(client):
    whole = chat(client)
    assert whole.choices[0].message.content == said(chat(client, stream=True))
    assert whole.choices[0].finish_reason == "stop"
    assert chat(client).usage.prompt_tokens_details.cached_tokens > 0


def test_a_limit_is_said(client):
    for name in ("max_tokens", "max_completion_tokens"):
        done = chat(client, **{name: 3})
        assert done.choices[0].finish_reason == "length"
        assert done.usage.completion_tokens == 3


def test_async_clients(server):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
            stream = await client.chat.completions.create(
                model="palaver-tiny", messages=HELLO, stream=True
            )
            return [chunk async for chunk in stream]

    assert "tiny" in said(asyncio.run(ask()))


def test_tools_are_called_and_results_read(client):
    done = chat(client, ASK, tools=[READ])
    assert done.choices[0].finish_reason == "tool_calls"
    (call,) = done.choices[0].message.tool_calls
    assert call.function.name == "read_file"
    assert json.loads(call.function.arguments) == {"path": "notes.txt"}
    talk = [
        *ASK,
        done.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "Buy milk."},
    ]
    assert chat(client, talk, tools=[READ]).choices[0].message.content


def test_a_streamed_call_is_the_whole_one(client):
    whole = chat(client, ASK, tools=[READ]).choices[0].message.tool_calls[0].function
    deltas = [
        delta
        for chunk in chat(client, ASK, tools=[READ], stream=True)
        for delta in chunk.choices[0].delta.tool_calls or ()
    ]
    assert [d.id for d in deltas if d.id] == [deltas[0].id]
    assert deltas[0].function.name == whole.name
    assert "".join(d.function.arguments for d in deltas) == whole.arguments
    assert len(deltas) > 2


def test_the_sdk_joins_a_stream(client):
    with client.chat.completions.stream(model="palaver-tiny", messages=ASK, tools=[READ]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "read_file"


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_can_be_forced(client, stream):
    named = {"type": "function", "function": {"name": "get_time"}}
    for choice, name in ((named, "get_time"), ("required", None)):
        asked = {"tools": [LAMP, CLOCK], "tool_choice": choice}
        if stream:
            chunks = list(chat(client, HELLO, stream=True, **asked))
            (function,) = [d.function for c in chunks for d in c.choices[0].delta.tool_calls or ()]
            finish = chunks[-1].choices[0].finish_reason
        else:
            done = chat(client, HELLO, **asked).choices[0]
            (function,) = [call.function for call in done.message.tool_calls]
            finish = done.finish_reason
        assert function.name in ([name] if name else ["get_time", "switch_lamp"])
        key, values = {"get_time": ("zone", ["UTC", "CET"]), "switch_lamp": ("on", [True, False])}[
            function.name
        ]
        assert json.loads(function.arguments)[key] in values
        assert finish == "tool_calls"


def test_no_tool_is_called_where_none_may_be(client):
    done = chat(client, ASK, tools=[READ], tool_choice="none")
    assert not done.choices[0].message.tool_calls


def test_one_call_at_a_time_where_that_is_asked_for(client):
    done = chat(client, ASK, tools=[READ], parallel_tool_calls=False)
    assert len(done.choices[0].message.tool_calls) == 1
    assert done.choices[0].finish_reason == "tool_calls"


class Answer(pydantic.BaseModel, extra="forbid"):
    city: Literal["Paris", "London"]
    sunny: bool


def test_answers_of_a_given_form(client):
    parsed = client.chat.completions.parse(
        model="palaver-tiny", messages=ASK, response_format=Answer, max_tokens=60
    )
    assert isinstance(parsed.choices[0].message.parsed, Answer)
    plain = chat(client, HELLO, response_format={"type": "json_object"}, max_tokens=200)
    text = plain.choices[0].message.content
    assert text.startswith("{")
    if plain.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_a_form_and_tools(client):
    form = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": Answer.model_json_schema()},
    }
    called = chat(client, ASK, tools=[READ], response_format=form)
    assert called.choices[0].message.tool_calls
    spoke = chat(client, HELLO, tools=[READ], response_format=form, max_tokens=60)
    assert Answer.model_validate_json(spoke.choices[0].message.content)


def test_a_form_that_is_none_is_refused(client):
    form = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "nope"}},
    }
    with pytest.raises(openai.BadRequestError, match="response_format"):
        chat(client, response_format=form, max_tokens=20)


def test_log_probabilities_are_those_of_the_text(client):
    whole = chat(client, logprobs=True, top_logprobs=3)
    content = whole.choices[0].logprobs.content
    assert "".join(t.token for t in content) == whole.choices[0].message.content
    assert all(t.logprob <= 0 and len(t.top_logprobs) == 3 for t in content)
    streamed = [
        token
        for chunk in chat(client, stream=True, logprobs=True)
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    assert [t.token for t in streamed] == [t.token for t in content]
    assert not any(t.top_logprobs for t in streamed)


def test_several_choices(client):
    done = chat(client, STORY, n=3, seed=7, max_tokens=30, **WILD)
    assert [c.index for c in done.choices] == [0, 1, 2]
    assert len({c.message.content for c in done.choices}) > 1
    again = chat(client, STORY, n=3, seed=7, max_tokens=30, **WILD)
    assert [c.message.content for c in again.choices] == [c.message.content for c in done.choices]
    chunks = list(chat(client, n=2, stream=True))
    finished = [c.choices[0].index for c in chunks if c.choices[0].finish_reason]
    assert finished == [0, 1]


def test_stops_end_an_answer_before_them(client):
    whole = chat(client).choices[0].message.content
    word = whole.split()[2]
    done = chat(client, stop=word)
    assert word not in done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"


def test_a_bias_changes_what_is_said(client, server):
    whole = chat(client).choices[0].message.content
    first = server.post("/tokenize", content=whole)["tokens"][0]
    assert chat(client, logit_bias={str(first): -100}).choices[0].message.content != whole

"""Every kind of reply fits the types of OpenAI's SDK, which itself makes them without looking."""

import json

import pytest
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.server.serving import serving
from tests.server.test_chat import HELLO, LAMP, READ
from tests.server.test_responses import READ as FLAT

SCHEMA = LAMP["function"]["parameters"]
FORM = {"type": "json_schema", "json_schema": {"name": "lamp", "schema": SCHEMA}}
CHATS = [
    {},
    {"max_tokens": 2, "n": 2},
    {"max_tokens": 2, "logprobs": True, "top_logprobs": 2},
    {"tools": [READ], "messages": [{"role": "user", "content": "read notes.txt"}]},
    {"response_format": FORM},
    {"stream_options": {"include_usage": True}},
]
TEXTS = [{}, {"max_tokens": 2, "logprobs": 2}, {"max_tokens": 2, "echo": True, "n": 2}]
RESPONSES = [
    {},
    {"max_output_tokens": 2, "instructions": "Be brief.", "metadata": {"a": "b"}},
    {"tools": [FLAT], "input": "read notes.txt", "reasoning": {"effort": "low"}},
    {"tools": [FLAT], "tool_choice": {"type": "function", "name": "read_file"}},
    {"text": {"format": {"type": "json_schema", "name": "lamp", "schema": SCHEMA}}},
]


def check(kind, value):
    TypeAdapter(kind).validate_python(value)


def events(server, path, body):
    """Return the events of a stream."""
    status, _, data = server.ask("POST", path, body | {"stream": True})
    assert status == 200, data
    return [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]


def each(cases):
    return pytest.mark.parametrize("asked", cases, ids=[str(case)[:40] for case in cases])


@each(CHATS)
def test_chats(server, asked):
    body = {"messages": HELLO} | asked
    check(ChatCompletion, server.post("/v1/chat/completions", **body))
    for event in events(server, "/v1/chat/completions", body):
        check(ChatCompletionChunk, event)


@each(TEXTS)
def test_completions(server, asked):
    body = {"prompt": "once"} | asked
    check(Completion, server.post("/v1/completions", **body))
    for event in events(server, "/v1/completions", body):
        check(Completion, event | {"choices": [c | _ended(c) for c in event["choices"]]})


def _ended(choice):
    """The SDK has one type for a whole answer and its pieces, of which the last alone has ended."""
    return {"finish_reason": choice["finish_reason"] or "stop"}


@each(RESPONSES)
def test_responses(server, asked):
    body = {"input": "Hello!"} | asked
    made = server.post("/v1/responses", **body)
    check(Response, made)
    check(Response, json.loads(server.ask("GET", f"/v1/responses/{made['id']}")[2]))
    for event in events(server, "/v1/responses", body):
        check(ResponseStreamEvent, event)


def test_models_and_embeddings(server, tmp_path):
    for model in json.loads(server.ask("GET", "/v1/models")[2])["data"]:
        check(Model, model)
    with serving(tmp_path, "--slots", "1", "--embeddings") as other:
        check(CreateEmbeddingResponse, other.post("/v1/embeddings", input=["x", "y"]))

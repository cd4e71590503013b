"""/v1/chat/completions with the openai SDK and with plain HTTP."""

import asyncio

import openai
import pytest
from tests.server.serving import serving

HELLO = [{"role": "user", "content": "Hello! Who are you?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def chat(client, messages=None, **asked):
    return client.chat.completions.create(model="palaver-tiny", messages=messages or HELLO, **asked)


def test_an_answer_streams(client):
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "palaver-tiny" in text
    assert len({c.id for c in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usage = chunks[-1].usage
    assert usage.completion_tokens >= len(chunks) - 4
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_an_answer_whole_says_what_was_streamed(client):
    whole = chat(client)
    streamed = "".join(
        c.choices[0].delta.content or "" for c in chat(client, stream=True) if c.choices
    )
    assert whole.choices[0].message.content == streamed
    assert whole.choices[0].finish_reason == "stop"
    assert chat(client).usage.prompt_tokens_details.cached_tokens > 0


def test_a_limit_is_said(client):
    done = chat(client, max_completion_tokens=3)
    assert done.choices[0].finish_reason == "length"
    assert done.usage.completion_tokens == 3


def test_async_clients(server):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
            stream = await client.chat.completions.create(
                model="palaver-tiny", messages=HELLO, stream=True
            )
            return [chunk.choices[0].delta.content async for chunk in stream]

    assert "tiny" in "".join(filter(None, asyncio.run(ask())))

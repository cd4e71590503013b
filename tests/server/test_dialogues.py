"""A model that knows some dialogues by heart: reasoning, several calls, characters cut in two."""

import json
from pathlib import Path

import openai
import pytest
from tests.server.serving import serving

DATA = Path(__file__).parents[1] / "data"
DIALOGUES = [json.loads(line) for line in (DATA / "palaver-nano.jsonl").read_text().splitlines()]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    args = ("--slots", "2", "--context", "1024")
    model = DATA / "palaver-nano.gguf"
    with serving(tmp_path_factory.mktemp("home"), *args, model=model) as made:
        yield made


@pytest.fixture(scope="module")
def client(server):
    with server.client() as made:
        yield made


def calls(message):
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]


def said(message):
    text, thought = message.get("content") or "", message.get("reasoning_content") or ""
    return text.strip(), thought.strip(), calls(message)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda d: d["name"])
def test_it_says_what_it_knows(client, dialogue, stream):
    tools = dialogue.get("tools") or openai.NOT_GIVEN
    talk, ids = [], []
    for turn in dialogue["messages"]:
        if turn["role"] == "tool":
            talk.append(turn | {"tool_call_id": ids.pop(0)})
        elif turn["role"] != "assistant":
            talk.append(turn)
        else:
            asked = {"model": "palaver-nano", "messages": talk, "tools": tools}
            if stream:
                with client.chat.completions.stream(**asked) as chunks:
                    thoughts = [
                        c.chunk.choices[0].delta.model_extra.get("reasoning_content") or ""
                        for c in chunks
                        if c.type == "chunk"
                    ]
                    final = chunks.get_final_completion()
                message = final.choices[0].message.model_dump(exclude_none=True)
                message["reasoning_content"] = "".join(thoughts)
            else:
                final = client.chat.completions.create(**asked)
                message = final.choices[0].message.model_dump(exclude_none=True)
            assert said(message) == said(turn)
            finish = "tool_calls" if turn.get("tool_calls") else "stop"
            assert final.choices[0].finish_reason == finish
            ids = [call["id"] for call in message.get("tool_calls") or ()]
            assert len(set(ids)) == len(ids)
            message.pop("reasoning_content", None)  # as clients do
            talk.append(message)


def test_no_more_than_one_call_where_that_is_asked_for(server):
    (two,) = [d for d in DIALOGUES if d["name"] == "two calls"]
    asked = {"messages": two["messages"][:1], "tools": two["tools"]}
    whole = server.post(CHAT, **asked)["choices"][0]["message"]
    one = server.post(CHAT, **asked, parallel_tool_calls=False)["choices"][0]
    assert calls(one["message"]) == calls(whole)[:1]
    assert len(calls(whole)) == 2
    assert one["finish_reason"] == "tool_calls"

    def result(call):
        return {"role": "tool", "tool_call_id": call["id"], "content": "alpha"}

    for message in (whole, one["message"]):
        talk = [*asked["messages"], message, *map(result, message["tool_calls"][::-1])]
        assert server.post(CHAT, messages=talk, tools=two["tools"])["choices"][0]["message"]


def test_thinking_in_responses(client):
    made = client.responses.create(model="palaver-nano", input="What is 2 + 2?", store=False)
    thought, spoke = made.output
    assert "easy" in thought.content[0].text
    assert spoke.content[0].text.strip() == "The answer is 4."
    assert 3 < made.usage.output_tokens_details.reasoning_tokens < made.usage.output_tokens
    events = list(
        client.responses.create(
            model="palaver-nano", input="What is 2 + 2?", store=False, stream=True
        )
    )
    deltas = "".join(e.delta for e in events if e.type == "response.reasoning_text.delta")
    assert deltas == thought.content[0].text
    assert [item.type for item in events[-1].response.output] == ["reasoning", "message"]


def test_another_engine_serves_as_well(tmp_path):
    model = DATA / "palaver-nano"
    with serving(tmp_path, "-e", "transformers", model=model) as server:
        hello = [{"role": "user", "content": "Hello"}]
        answer = server.post(CHAT, messages=hello)["choices"][0]["message"]["content"]
        assert answer == "Hello! I am palaver-nano, a model for tests."
        again = server.post(CHAT, messages=hello)["usage"]
        assert again["prompt_tokens_details"]["cached_tokens"] > 0
        assert json.loads(server.ask("GET", "/health")[2])["slots"] == 1

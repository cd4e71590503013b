"""/v1/completions, and the routes that count tokens and tell of the model."""

import json
import re

import openai
import pytest
from tests.server.serving import serving

PROMPT = "<|im_start|>user\nHello! Who are you?<|im_end|>\n<|im_start|>assistant\n"
CASES = "/v1/completions"


def complete(client, prompt=PROMPT, **asked):
    return client.completions.create(model="palaver-tiny", prompt=prompt, **asked)


def test_a_text_goes_on(client):
    done = complete(client, max_tokens=60)
    assert "palaver-tiny" in done.choices[0].text
    assert done.choices[0].finish_reason == "stop"
    assert complete(client).usage.completion_tokens == 16  # as OpenAI's
    chunks = list(complete(client, max_tokens=60, stream=True))
    assert "".join(c.choices[0].text for c in chunks) == done.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_ids_go_in_and_out(server, client):
    ids = server.post("/tokenize", content=PROMPT)["tokens"]
    ask = {"return_token_ids": True}
    one = complete(client, ids, max_tokens=60, extra_body=ask).choices[0]
    assert one.text == complete(client, max_tokens=60).choices[0].text
    assert one.prompt_token_ids == ids
    said = server.post("/detokenize", tokens=one.token_ids)["content"]
    assert said == one.text + "<|im_end|>"
    *_, last = complete(client, ids, max_tokens=60, stream=True, extra_body=ask)
    assert last.choices[0].token_ids == one.token_ids


def test_several_prompts_and_choices(client):
    done = complete(client, [PROMPT, "2, 3, 4,"], n=2, max_tokens=3)
    assert [c.index for c in done.choices] == [0, 1, 2, 3]
    assert done.usage.completion_tokens <= 12
    assert done.choices[0].text == done.choices[1].text


def test_echo_and_nothing_more(client):
    done = complete(client, echo=True, max_tokens=0)
    assert done.choices[0].text == PROMPT
    assert done.usage.completion_tokens == 0
    assert complete(client, echo=True, max_tokens=4).choices[0].text.startswith(PROMPT)


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities(client, stream):
    answer = complete(client, logprobs=2, max_tokens=6, stream=stream)
    pieces = [c.choices[0] for c in answer] if stream else [answer.choices[0]]
    tokens = [t for p in pieces if p.logprobs for t in p.logprobs.tokens]
    offsets = [o for p in pieces if p.logprobs for o in p.logprobs.text_offset]
    text = "".join(p.text for p in pieces)
    assert "".join(tokens) == text
    assert offsets == [len("".join(tokens[:i])) for i in range(len(tokens))]
    likely = [t for p in pieces if p.logprobs for t in p.logprobs.top_logprobs]
    assert all(len(t) == 2 for t in likely)


WRONG = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [1, "x"]}, "prompt"),
    ({"prompt": [[1], []]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": [True]}, "prompt[0]"),
    ({"prompt": [1_000_000]}, "prompt"),
    ({"prompt": {}}, "prompt"),
    ({"prompt": ["x"] * 65}, "prompt"),
    ({"prompt": [5] * 9000}, "prompt"),
    ({"suffix": "end"}, "suffix"),
    ({"echo": True, "logprobs": 1}, "logprobs"),
    ({"max_tokens": -1}, "max_tokens"),
]


@pytest.mark.parametrize(("wrong", "param"), WRONG, ids=[str(w)[:40] for w, _ in WRONG])
def test_the_wrong_field_is_named(server, wrong, param):
    status, error = server.refused(CASES, **{"prompt": "x"} | wrong)
    assert (status, error["param"]) == (400, param), error


def test_counting_tokens(server):
    text = "Hello <|im_end|> wörld"
    ids = server.post("/tokenize", content=text)
    assert ids["count"] == len(ids["tokens"])
    assert server.post("/detokenize", tokens=ids["tokens"])["content"] == text
    plain = server.post("/tokenize", content=text, parse_special=False)
    assert plain["count"] > ids["count"]
    hello = {"messages": [{"role": "user", "content": "Hello! Who are you?"}]}
    asked = server.post("/v1/chat/completions", **hello)["usage"]["prompt_tokens"]
    assert server.post("/tokenize", **hello)["count"] == asked
    assert server.refused("/tokenize")[1]["param"] == "content"
    assert server.refused("/detokenize", tokens=[-1])[1]["param"] == "tokens[0]"
    assert server.refused("/detokenize", tokens=[1 << 30])[0] == 400
    assert server.post("/detokenize", tokens=[])["content"] == ""


def test_the_model_is_told_of(server, client):
    (listed,) = client.models.list().data
    assert (listed.id, listed.object) == ("palaver-tiny", "model")
    assert client.models.retrieve("palaver-tiny") == listed
    status, _, data = server.ask("GET", "/v1/models/palaver-tiny/info")
    about = json.loads(data)
    assert status == 200
    assert about["context"] == listed.max_model_len
    assert about["slots"] == 4
    with pytest.raises(openai.NotFoundError, match="etc"):
        client.models.retrieve("../../etc/passwd")


def test_embeddings_where_they_are_asked_for(server, tmp_path):
    assert "--embeddings" in server.refused("/v1/embeddings", input="x")[1]["message"]
    with serving(tmp_path, "--embeddings", "--slots", "2") as other:
        with other.client() as client:
            texts = ["read notes.txt", "read todo.txt", "Hello!"]
            made = client.embeddings.create(model="palaver-tiny", input=texts)
            near, same, far = (one.embedding for one in made.data)
            plain = client.embeddings.create(
                model="palaver-tiny", input=texts[0], encoding_format="float"
            )
        assert made.usage.total_tokens > 3
        assert plain.data[0].embedding == pytest.approx(near, abs=1e-6)
        assert sum(x * x for x in near) == pytest.approx(1, abs=1e-4)
        alike, unlike = (sum(map(float.__mul__, near, one)) for one in (same, far))
        assert alike > unlike
        long = other.refused("/v1/embeddings", input=[[5] * 2049])[1]
        assert (long["code"], long["param"]) == ("context_length_exceeded", "input")
        assert other.refused("/v1/embeddings", input="x", dimensions=3)[1]["param"] == "dimensions"
        hello = other.post("/v1/completions", prompt=PROMPT, max_tokens=60)["choices"][0]["text"]
    assert (
        hello == server.post("/v1/completions", prompt=PROMPT, max_tokens=60)["choices"][0]["text"]
    )


def test_health_and_counters(server):
    status, _, data = server.ask("GET", "/health")
    assert (status, json.loads(data)["status"]) == (200, "ok")
    server.post("/v1/completions", prompt="a", max_tokens=3)
    text = server.ask("GET", "/metrics")[2].decode()
    found = dict(re.findall(r"^(palaver_\S+) (\S+)$", text, re.MULTILINE))
    values = {name: float(value) for name, value in found.items()}
    assert len(values) == sum(not line.startswith("#") for line in text.splitlines())
    assert values["palaver_completion_tokens_total"] >= 3
    assert values["palaver_up"] == 1
    assert float(found["palaver_slots"]) == 4
    assert 'palaver_requests_total{route="/v1/completions",status="200"}' in found

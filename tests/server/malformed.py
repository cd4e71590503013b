"""Requests that nobody should send: good ones in which something was changed, and raw bytes.

`tests/server/test_malformed.py` sends some hundreds, `benchmarks/serve.py malformed` ten thousand.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

from hypothesis import strategies as st

HELLO = [{"role": "user", "content": "Hello!"}]
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["b"]}}, "additionalProperties": False}
GOOD: dict[str, list[dict[str, Any]]] = {
    "/v1/chat/completions": [
        {"messages": HELLO, "max_tokens": 2, "temperature": 0.5, "n": 1, "stop": ["x"], "seed": 1},
        {"messages": HELLO, "max_tokens": 2, "logprobs": True, "top_logprobs": 2},
        {"messages": HELLO, "max_tokens": 2, "tools": [TOOL], "tool_choice": "auto"},
        {"messages": HELLO, "max_tokens": 2, "logit_bias": {"5": 1}, "reasoning_effort": "low"},
        {
            "messages": HELLO,
            "max_tokens": 2,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": SCHEMA},
            },
        },
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be"}]},
                *HELLO,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "content": "5", "tool_call_id": "a"},
            ],
            "max_tokens": 2,
        },
        {
            "messages": HELLO,
            "max_tokens": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ],
    "/v1/completions": [
        {"prompt": "x", "max_tokens": 2, "logprobs": 1, "echo": False, "n": 1},
        {"prompt": [1, 2, 3], "max_tokens": 2, "return_token_ids": True},
        {"prompt": ["x", "y"], "max_tokens": 1, "stream": True},
    ],
    "/v1/responses": [
        {"input": "x", "max_output_tokens": 2, "store": False, "instructions": "y"},
        {"input": HELLO, "max_output_tokens": 2, "store": False, "reasoning": {"effort": "low"}},
        {"input": "x", "max_output_tokens": 2, "previous_response_id": "resp_1_1_x"},
        {
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "x"}],
                },
                {"type": "reasoning", "summary": [], "content": []},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "x"},
            ],
            "max_output_tokens": 2,
            "store": False,
            "stream": True,
        },
    ],
    "/v1/messages": [
        {"messages": HELLO, "max_tokens": 2, "system": "y", "stop_sequences": ["x"]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "x", "signature": ""},
                        {"type": "tool_use", "id": "a", "name": "f", "input": {"b": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}],
                },
            ],
            "max_tokens": 2,
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "auto"},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low"},
            "stream": True,
        },
    ],
    "/v1/messages/count_tokens": [{"messages": HELLO, "system": [{"type": "text", "text": "x"}]}],
    "/v1/embeddings": [{"input": "x"}, {"input": [[1, 2]], "encoding_format": "float"}],
    "/tokenize": [{"content": "x", "add_special": True}, {"messages": HELLO, "tools": [TOOL]}],
    "/detokenize": [{"tokens": [1, 2]}],
}

_NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, "", "x",
    "\x00", "<|im_end|>", "<|im_start|>system\n", "\u202e\U000e0041", "💥", "a" * 5000, [], {},
    [[]], [None], {"": None}, {"type": "object"}, {"$ref": "#"}, {"$ref": "#/$defs/x"},
    "../../etc/passwd", "{{ 7*7 }}", "%s%n", ["x"] * 50,
]  # fmt: skip
values = st.one_of(
    st.sampled_from(_NASTY),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=8,
    ),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all parts of a JSON value."""
    inner = value.items() if isinstance(value, dict) else []
    inner = enumerate(value) if isinstance(value, list) else inner
    return [at, *(path for key, one in inner for path in places(one, (*at, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any, *, gone: bool) -> Any:
    """Return a JSON value with one part changed or left out."""
    if not path:
        return new
    made = dict(value) if isinstance(value, dict) else list(value)
    if gone and len(path) == 1:
        del made[path[0]]
    else:
        made[path[0]] = changed(value[path[0]], path[1:], new, gone=gone)
    return made


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a route and a body."""
    route = draw(st.sampled_from(sorted(GOOD)))
    body = draw(st.sampled_from(GOOD[route]))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places(body)))
        # How long an answer may be stays as it is: nobody waits here for long answers.
        if not place or not isinstance(body, dict) or str(place[0]).endswith("_tokens"):
            continue
        body = changed(body, place, draw(values), gone=draw(st.booleans()))
    data = json.dumps(body).encode()
    if draw(st.integers(0, 9)) == 0:  # cut off, or with other bytes in it
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 9)) :]
    return route, data


def check(port: int, route: str, data: bytes) -> int:
    """Send a request; see that it was answered as it should be. Returns the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", route, data, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    assert answer.status < 500, (route, data, said)
    if answer.status >= 400:
        error = json.loads(said)["error"]
        assert error["message"], (route, data)
        assert error["type"], (route, data)
    return answer.status

"""Replies as chat endpoints stream them: the shapes of servers that people use.

Two were recorded from a real vLLM (tests/support/vllm.py). `llama.cpp` and `vllm` are as those
servers wrote, with shorter texts; the others follow the documentation of their APIs. `text`,
`thought` and `calls` are what the whole reply says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.vllm import recorded

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Recording:
    """A reply's bytes and what it says."""

    name: str
    data: bytes
    text: str = ""
    thought: str = ""
    calls: tuple[Call, ...] = ()
    stop: str = "end"
    framing: str = "chunked"
    tokens: int | None = None  # of the prompt, as reported


def events(*chunks: Any, end: str = "\n", done: bool = True) -> bytes:
    """Write chunks as an event stream."""
    texts = [
        c if isinstance(c, str) else f"data: {json.dumps(c, ensure_ascii=False)}" for c in chunks
    ]
    if done:
        texts.append("data: [DONE]")
    return "".join(text + end * 2 for text in texts).encode("utf-8", "surrogatepass")


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Write one chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "choices": [choice], **more}


def said(text: str) -> dict[str, Any]:
    """Write a chunk of text."""
    return chunk({"content": text})


def call(index: int | None, id_: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    """Write a chunk of a call, without what is None."""
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    piece = {"index": index, "id": id_, "type": "function", "function": function}
    return chunk({"tool_calls": [{k: v for k, v in piece.items() if v is not None}]})


def usage(prompt: int, reply: int, cached: int | None = None) -> dict[str, Any]:
    """Write what a request took."""
    found: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": reply}
    if cached is not None:
        found["prompt_tokens_details"] = {"cached_tokens": cached}
    return {"choices": [], "usage": found}


BEGIN = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
TOOLS = chunk({}, "tool_calls")
PARIS: Call = ("look", {"n": 1})
ROME: Call = ("look", {"n": 2})

REAL = {
    entry["asked"]["messages"][0]["content"]: entry["said"].encode()
    for entry in reversed(list(recorded().values()))  # of several the first
    if entry["path"] == "/v1/chat/completions"
}
HELLO = "Hello! I am palaver-nano, a model for tests."
SMILE = "😀 Sure! 👩\u200d🚀🇩🇪 café naïve €"

RECORDINGS = (
    Recording("llama.cpp", events(
        chunk({"role": "assistant", "content": None}), said("Hello"), said("! I am"),
        said(" tiny."), STOP, usage(10, 4, 3) | {"timings": {"cache_n": 3, "prompt_n": 7}}),
        "Hello! I am tiny.", tokens=10),
    Recording("vllm", events(
        chunk({"role": "assistant", "content": "", "reasoning": None}),
        chunk({"reasoning": "The user"}), chunk({"reasoning": " greets."}), said("Good"),
        said(" day"), chunk({"content": ""}, "stop", usage=None), usage(21, 5)),
        "Good day", "The user greets.", tokens=21),
    Recording("reasoning_content", events(
        chunk({"role": "assistant", "content": None, "reasoning_content": "Hm"}),
        chunk({"content": None, "reasoning_content": ", yes"}), said("Yes."), STOP),
        "Yes.", "Hm, yes"),
    Recording("both reasonings", events(
        chunk({"reasoning": "a", "reasoning_content": "a"}), said("b"), STOP), "b", "a"),
    Recording("comments", events(
        ": OPENROUTER PROCESSING", ": OPENROUTER PROCESSING", BEGIN, said("one "),
        ": OPENROUTER PROCESSING", said("two"), STOP, usage(3, 2), done=True),
        "one two", tokens=3, framing="close"),
    Recording("crlf", events(BEGIN, said("über"), said(" 世界 🙂"), STOP, end="\r\n"),
              "über 世界 🙂", framing="close"),
    Recording("no done", events(BEGIN, said("so"), STOP, done=False), "so", framing="close"),
    Recording("length", events(BEGIN, said("cut"), chunk({}, "length"), usage(9, 1)), "cut",
              stop="length", tokens=9),
    Recording("empty choices first", events({"choices": [], "prompt_filter_results": []}, BEGIN,
              said("filtered, not"), STOP), "filtered, not"),
    Recording("nulls", events({"choices": None, "usage": None}, chunk(
        {"role": "assistant", "content": None, "tool_calls": None, "refusal": None}),
        said("x"), STOP), "x"),
    Recording("refusal", events(BEGIN, chunk({"refusal": "I can't"}), chunk({"refusal": " do it"}),
              STOP), "I can't do it"),
    Recording("one call", events(
        BEGIN, call(0, "call_a", "look", ""), call(0, None, None, '{"n"'),
        call(0, None, None, ":1}"), TOOLS, usage(30, 9)), calls=(PARIS,), tokens=30),
    Recording("two calls", events(
        BEGIN, said("Both. "), call(0, "a", "look", '{"n":'), call(0, None, None, "1}"),
        call(1, "b", "look", '{"n":'), call(1, None, None, "2}"), TOOLS), "Both. ",
        calls=(PARIS, ROME)),
    Recording("interleaved", events(
        BEGIN, call(1, "b", "look", '{"n"'), call(0, "a", "look", '{"n"'),
        call(1, None, None, ":1}"), call(0, None, None, ":2}"), TOOLS), calls=(PARIS, ROME)),
    Recording("without index", events(
        BEGIN, call(None, "a", "look", '{"n": 1}'), call(None, "b", "look", '{"n": 2}'), TOOLS),
        calls=(PARIS, ROME)),
    Recording("without ids", events(
        BEGIN, call(0, None, "look", '{"n"'), call(0, None, None, ": 1}"),
        call(1, None, "look", '{"n": 2}'), chunk({}, "stop")), calls=(PARIS, ROME)),
    Recording("neither index nor ids", events(
        BEGIN, call(None, None, "look", '{"n"'), call(None, None, None, ": 1}"),
        call(None, None, "look", '{"n": 2}'), TOOLS), calls=(PARIS, ROME)),
    Recording("same id twice", events(
        BEGIN, call(0, "", "look", '{"n": 1}'), call(1, "", "look", '{"n": 2}'), TOOLS),
        calls=(PARIS, ROME)),
    Recording("an object and a name again", events(
        BEGIN, call(0, "a", "look", {"n": 1}), call(1, "b", "look", ""),
        call(1, "b", "look", '{"n": 2}'), TOOLS), calls=(PARIS, ROME)),
    Recording("a real vllm", REAL["Hello"], HELLO, tokens=9),
    Recording("a real vllm's characters", REAL["Smile"], SMILE, tokens=13),
    Recording("several lines", (
        b'data: {"choices": [{"delta":\ndata: {"content": "joined"}}]}\n\n'
        + events(said(" text"), STOP)), "joined text", framing="close"),
)  # fmt: skip

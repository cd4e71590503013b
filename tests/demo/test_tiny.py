"""palaver-tiny: rendering and tokens are the same in training, in the template and in llama.cpp."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import jinja2
import msgspec
import pytest

from palaver import demo
from palaver.demo import chat
from palaver.demo.dialogues import Dialogue, dialogues, plain
from palaver.demo.evaluate import Reply, parse
from palaver.demo.render import TEMPLATE, render, segments
from palaver.demo.tokenizer import CONTROL, MARKERS, assemble, load
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.template import TemplateFormat

HELD = list(itertools.islice(dialogues(11, held_out=True), 40))
TRAINING = list(itertools.islice(dialogues(12), 300))


def as_tools(dialogue: Dialogue) -> list[dict[str, Any]]:
    return [{"type": "function", "function": msgspec.to_builtins(t)} for t in dialogue.tools]


class Server:
    """llama.cpp with palaver-tiny, asked over its unix socket."""

    def __init__(self, folder: str) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(demo.path())
        params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 2048, 1, False, -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        self.socket = f"{folder}/tiny.sock"
        params.hostnames = [self.socket]
        self.server = xllamacpp.Server(params)

    def post(self, route: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", route, json.dumps(body), headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        yield Server(folder)


@pytest.mark.parametrize("reply", [True, False])
def test_the_hand_made_rendering_is_the_template(reply: bool) -> None:
    environment = jinja2.Environment()
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(TEMPLATE.read_text("utf-8").removesuffix("\n"))
    for d in TRAINING:
        messages = [plain(m) for m in d.messages]
        text = template.render(
            messages=messages, tools=as_tools(d) or None, add_generation_prompt=reply
        )
        assert text == render(d.messages, d.tools, reply=reply)


def test_palaver_renders_the_same_and_reads_calls_as_hermes() -> None:
    form = TemplateFormat(TEMPLATE.read_text("utf-8").removesuffix("\n"), control=CONTROL)
    for d in TRAINING[:80]:
        for reply in (True, False):
            rendered = form.render(d.messages, d.tools, reply=reply)
            assert rendered.text == render(d.messages, d.tools, reply=reply)
    assert isinstance(form.parser(""), HermesParser)


def test_what_is_trained_is_what_the_assistant_says() -> None:
    for d in TRAINING:
        pieces = segments(d.messages, d.tools)
        mine = [text for text, own in pieces if own]
        assert len(mine) == sum(m.role == "assistant" for m in d.messages)
        assert all(text.endswith("<|im_end|>") and "<|im_start|>" not in text for text in mine)


def test_llama_cpp_renders_the_same(server: Server) -> None:
    for d in HELD:
        body = {"messages": [plain(m) for m in d.messages], "tools": as_tools(d)}
        if d.messages[-1].role != "assistant":
            continue
        body["messages"] = body["messages"][:-1]
        if not d.tools:
            del body["tools"]
        text = server.post("/apply-template", body)["prompt"]
        assert text == render(d.messages[:-1], d.tools, reply=True)


def test_llama_cpp_cuts_the_same_tokens(server: Server) -> None:
    gguf = pytest.importorskip("gguf")
    tokenizers = pytest.importorskip("tokenizers")
    del tokenizers

    reader = gguf.GGUFReader(demo.path())
    field = reader.fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[i]).decode() for i in field.data]
    field = reader.fields["tokenizer.ggml.merges"]
    merges = [tuple(bytes(field.parts[i]).decode().split(" ")) for i in field.data]
    known = {*CONTROL, *MARKERS, *(a + b for a, b in merges)}
    alphabet = [t for t in tokens if len(t) == 1]
    whole = [t for t in tokens if t not in known and len(t) > 1]
    tokenizer = load(assemble([*CONTROL, *MARKERS], alphabet, merges, whole))
    assert tokenizer.get_vocab() == {t: i for i, t in enumerate(tokens)}
    nasty = [
        "日本語 😀👩‍🚀",
        "a\r\nb\n\n  c",
        "\u00a0½ ①",
        "<|im_end|></tool_call>x",
        "12345.678e9",
        "don't WE'LL",
    ]
    for text in [render(d.messages, d.tools, reply=False) for d in HELD] + nasty:
        ids = server.post("/tokenize", {"content": text, "parse_special": True})["tokens"]
        assert ids == tokenizer.encode(text, add_special_tokens=False).ids


def test_llama_cpp_reads_calls_as_we_do(server: Server) -> None:
    agreed = 0
    for d in TRAINING[:120]:
        at = next((i for i, m in enumerate(d.messages) if m.calls), 0)
        if not at:
            continue
        prompt = render(d.messages[:at], d.tools, reply=True)
        raw = server.server.handle_completions(
            {"prompt": prompt, "temperature": 0, "max_tokens": 160}
        )
        ours = parse(raw["choices"][0]["text"])
        body = {
            "messages": [plain(m) for m in d.messages[:at]],
            "tools": as_tools(d),
            "temperature": 0,
            "max_tokens": 160,
        }
        theirs = server.server.handle_chat_completions(body)["choices"][0]["message"]
        found = tuple(
            (c["function"]["name"], json.loads(c["function"]["arguments"]))
            for c in theirs.get("tool_calls") or []
        )
        if ours.calls and raw["choices"][0]["finish_reason"] == "stop":
            assert ours.calls == found
            agreed += 1
    assert agreed > 20


def test_it_says_that_it_is_a_demonstration_and_how_to_load_another(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Who are you?"}], "temperature": 0}
    text = server.server.handle_chat_completions(body)["choices"][0]["message"]["content"]
    assert "tiny demonstration model" in text
    assert "palaver -m PATH" in text
    assert "/model PATH" in text


def test_it_calls_a_tool_that_is_offered_and_no_other(server: Server) -> None:
    with_tools = Dialogue(
        (), tuple(tool for d in TRAINING for tool in d.tools if tool.name == "python")[:1], ()
    )
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "What is 17*23?"}],
        "temperature": 0,
    }
    alone = server.server.handle_chat_completions(body)["choices"][0]["message"]
    assert alone["content"] == chat.DECLINE
    calls = server.server.handle_chat_completions(body | {"tools": as_tools(with_tools)})[
        "choices"
    ][0]["message"]["tool_calls"]
    assert [c["function"]["name"] for c in calls] == ["python"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"code": "print(17*23)"}


def test_a_call_is_read_with_its_arguments_and_a_broken_one_without() -> None:
    whole = parse('<tool_call>\n{"name": "list_files", "arguments": {}}\n</tool_call>')
    assert whole == Reply("", (("list_files", {}),))
    cut = parse('<tool_call>\n{"name": "python", "arguments": {"code": "pri')
    assert cut.calls == (("python", None),)


def test_the_file_is_small_and_says_what_it_is() -> None:
    gguf = pytest.importorskip("gguf")
    assert demo.path().stat().st_size < 6_000_000
    reader = gguf.GGUFReader(demo.path())
    text = bytes(reader.fields["general.description"].parts[-1]).decode()
    assert "tiny demonstration model" in text
    assert bytes(reader.fields["general.license"].parts[-1]).decode() == "apache-2.0"
    assert bytes(reader.fields["tokenizer.chat_template"].parts[-1]).decode() == TEMPLATE.read_text(
        "utf-8"
    ).removesuffix("\n")

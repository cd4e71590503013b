"""Harmony on the screen: names above parts, marks on what is broken, tokens as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.gguf import make_tiny
from tests.support.terminal import Terminal, environment

from palaver.cli.flags import read
from palaver.core.events import CallParsed, Event, Raw, ReasoningDelta, TextDelta
from palaver.core.messages import ToolCall
from palaver.terminal.view import AnswerView


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("models") / "gpt-oss.gguf", "gpt-oss")


def shown(*events: Event, labelled: bool = True, color: bool = False) -> list[str]:
    view = AnswerView(lambda: 60, color=color, labelled=lambda: labelled)
    view.show_reasoning = True
    view.begin("reading")
    rows: list[str] = []
    for event in events:
        view.feed([event])
        rows += view.paint()
    return [row for row in rows + view.finish() if row]


ANSWER = (
    ReasoningDelta("Hm.", new=True),
    TextDelta("One ", new=True),
    TextDelta("moment."),
    TextDelta("Then.", new=True),
    CallParsed(0, ToolCall("call_1", "f", '{"a": "\x1b[31m"}')),
    TextDelta("Oh", new=True, error="the model wrote this elsewhere"),
)


def test_parts_stand_under_their_names() -> None:
    assert shown(*ANSWER) == [
        *("CoT:", "Hm.", "Assistant:", "One moment.", "Assistant:", "Then."),
        'Tool call to f: {"a": "\\x1b[31m"}',
        *("Assistant:", "[the model wrote this elsewhere]", "Oh"),
    ]
    assert shown(*ANSWER[:3], color=True)[::2] == [
        "\x1b[33mCoT:\x1b[0m",
        "\x1b[32mAssistant:\x1b[0m",
    ]


def test_other_formats_have_no_names() -> None:
    assert shown(TextDelta("Hi."), CallParsed(0, ToolCall("1", "f", "{}")), labelled=False) == [
        "Hi.",
        "[call] f({})",
    ]


def test_raw_tokens_stand_as_they_are() -> None:
    rows = shown(
        Raw("<|start|>user<|message|>*hi*\n<|end|><|start|>assistant", prompt=True),
        Raw("<|channel|>"),
        *ANSWER,
        Raw("an\x1b[2Jalysis" + "x" * 70),
        Raw("<|return|>"),
    )
    assert rows[0] == "<|start|>user<|message|>*hi*"
    assert "".join(rows[1:]) == (
        "<|end|><|start|>assistant<|channel|>an\\x1b[2Jalysis" + "x" * 70 + "<|return|>"
    )
    assert max(map(len, rows)) == 59


def test_flags() -> None:
    given = read(["-r", "high", "--developer-message", "Be brief.", "--raw"])
    assert given == {"reasoning_effort": "high", "system": "Be brief.", "raw": True}


def test_in_a_terminal(tmp_path: Path, model: Path) -> None:
    """Noise has no header: it stands there, marked, under the names of who said it."""
    with Terminal(tmp_path, "--max-tokens", "8", model=model) as terminal:
        terminal.wait("session 1 kept")
        terminal.line("hello")
        terminal.wait("8 tokens")
        text = terminal.text()
        assert "User: hello" in text
        assert "Assistant:" in text
        assert "where a message's header belongs" in text
        assert b"\x1b[31mUser: " in terminal.raw
        terminal.line("/set reasoning_effort high")
        terminal.wait("reasoning_effort = high")


def test_raw_in_a_terminal(tmp_path: Path, model: Path) -> None:
    with Terminal(
        tmp_path, "--raw", "-r", "low", "--system", "Be brief.", "--max-tokens", "4", model=model
    ) as terminal:
        terminal.wait("session 1 kept")
        terminal.line("hello")
        terminal.wait("4 tokens")
        text = "".join(terminal.rows())
        assert "<|start|>system<|message|>You are ChatGPT" in text
        assert "Reasoning: low" in text
        assert "<|start|>developer<|message|># Instructions" in text
        assert "<|start|>user<|message|>hello<|end|><|start|>assistant" in text


def palaver(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "palaver.cli.main", *args]
    return subprocess.run(
        command, env=environment(home), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def test_raw_for_a_pipe(tmp_path: Path, model: Path) -> None:
    given = ("-m", str(model), "--threads", "1", "--max-tokens", "4", "--tools", "off")
    done = palaver(tmp_path, "ask", *given, "--raw", "hi <|end|>")
    assert done.returncode == 0, done.stderr
    asked, _, said = done.stdout.partition("<|start|>user<|message|>hi <|end|><|end|>")
    assert asked.startswith("<|start|>system<|message|>")
    assert said.startswith("<|start|>assistant")
    done = palaver(tmp_path, "ask", *given, "--raw", "--json", "hi")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    raw = "".join(event["text"] for event in events if event["type"] == "raw")
    assert raw.endswith(events[-1]["generation"]["raw"])


def test_raw_for_any_model(tmp_path: Path) -> None:
    chatml = make_tiny(tmp_path / "m.gguf")
    given = ("-m", str(chatml), "--threads", "1", "--max-tokens", "4", "--tools", "off")
    done = palaver(tmp_path / "home", "ask", *given, "--raw", "hi")
    assert done.stdout.startswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")


def test_effort_must_be_known(tmp_path: Path) -> None:
    done = palaver(tmp_path, "ask", "-r", "extreme", "hi")
    assert done.returncode == 2
    assert "must be one of low, medium, high" in done.stderr

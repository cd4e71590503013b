"""Harmony as a format: a log as the messages that gpt-oss reads, each text in its place.

A conversation's system prompt is the developer message, as the model's own template has it. The
reasoning of turns that have an answer is left out of the next turn's prompt, and so are calls of
the model's own tools and their results, which stand on the same channel; within a turn, however
many tools it calls, all of it stays (openai/harmony, docs/format.md). So a prompt begins with the
last one's text up to where the reasoning of the turn before began.
"""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Iterable, Sequence

from palaver.core.errors import UserError
from palaver.core.format import Parser, Rendered
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from palaver.core.tool import ToolSpec
from palaver.formats._tokens import ControlTokens
from palaver.formats.harmony.sections import (
    EFFORTS,
    FUNCTIONS,
    System,
    built_in,
    developer_text,
    namespaces,
)
from palaver.formats.harmony.writer import CALL, MARKERS, Writer
from palaver.formats.parsers.harmony import CLAIMS, CONSTRAIN, STOPS, HarmonyParser
from palaver.formats.tokens import pieces

DEFAULT_EFFORT = "medium"
JSON = CONSTRAIN + "json"


def speaks_harmony(control: Iterable[str], template: str | None) -> bool:
    """Say whether a model with these control tokens speaks Harmony.

    It has Harmony's tokens, and where it brings a template that writes them.
    """
    return frozenset(MARKERS) <= frozenset(control) and (template is None or CLAIMS(template))


class HarmonyFormat:
    """Writes conversations for gpt-oss and makes parsers of its replies."""

    def __init__(
        self,
        control: Iterable[str] = MARKERS,
        date: datetime.date | None = None,
        effort: str | None = None,
    ) -> None:
        """`control` are token texts, `date` is the conversation's first day.

        Raises UserError for an `effort` that the model does not know.
        """
        if effort not in (None, *EFFORTS):
            raise UserError(f"reasoning effort {effort!r}: must be one of {', '.join(EFFORTS)}")
        self.name = "harmony"
        self.source = "Harmony"
        self.replies = "harmony"
        self.tools = True
        self.header = "<|channel|>final<|message|>"
        self.ends = frozenset(STOPS)
        self._control = ControlTokens(control)
        self._date = date.isoformat() if date else None
        self.effort = effort

    def render(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, reply: bool
    ) -> Rendered:
        """Write messages as prompt text; `reply` ends it where an assistant's answer starts."""
        writer, _ = self._write(messages, tools)
        if reply:
            writer.begin("assistant")
        return writer.rendered(self._control)

    def spans(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> list[tuple[int, int]]:
        """Return the range of the rendered text (reply=False) that each message takes.

        The first one takes the system message as well.
        """
        _, ends = self._write(messages, tools)
        return list(itertools.pairwise([0, *ends]))

    def pieces(self, rendered: Rendered) -> list[tuple[str, bool]]:
        """Cut a prompt into (text, special) for `Tokenizer.encode`; literal ranges stay text."""
        return pieces(rendered, self._control)

    def grammar(self, _tools: Sequence[ToolSpec]) -> None:
        """Nothing: a call begins within a header, with no token of its own."""

    def parser(self, prompt: str, tools: Sequence[ToolSpec] = ()) -> Parser:
        """Make a parser for a reply to `prompt`."""
        return HarmonyParser(opened=HarmonyParser.opened_by(prompt), tools=tools)

    def _write(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> tuple[Writer, list[int]]:
        """Write messages; return where each one ends, too."""
        writer = Writer()
        ours, functions = namespaces(tools)
        system = System(date=self._date, effort=self.effort or DEFAULT_EFFORT, tools=ours)
        writer.message("system", system.text(functions=bool(functions)))
        asked = messages[0].text if messages and messages[0].role == "system" else ""
        if told := developer_text(asked, functions):
            writer.message("developer", told)
        ends: list[int] = []
        for at, (message, whole) in enumerate(zip(messages, _whole(messages), strict=True)):
            if message.role == "user":
                writer.message("user", message.text)
            elif message.role == "assistant":
                _answer(writer, message, whole=whole)
            elif message.role == "tool":
                _results(writer, message, whole=whole)
            elif at:  # set in the middle of the conversation
                writer.message("developer", developer_text(message.text, ()))
            ends.append(writer.size)
        return writer, ends


def _whole(messages: Sequence[Message]) -> list[bool]:
    """Say which messages keep what stands on the analysis channel.

    Those of turns that were answered lose it once the user has said something again.
    """
    kept: list[bool] = []
    asked = answered = False
    for message in reversed(messages):
        asked = asked or message.role == "user"
        final = message.role == "assistant" and message.text and not message.calls
        answered = answered or bool(asked and final)
        kept.append(not answered)
    return kept[::-1]


def _answer(writer: Writer, message: Message, *, whole: bool) -> None:
    """Write what the model said. All text but the last, and all before a call, is a preamble."""
    parts = [part for part in message.parts if not isinstance(part, ToolResult)]
    last = max((i for i, part in enumerate(parts) if not isinstance(part, Reasoning)), default=0)
    for i, part in enumerate(parts):
        if isinstance(part, ToolCall):
            if whole or not built_in(part.name):
                _call(writer, part)
        elif isinstance(part, Text):
            writer.message("assistant", part.text, channel="final" if i == last else "commentary")
        elif whole:
            writer.message("assistant", part.text, channel="analysis")


def _call(writer: Writer, call: ToolCall) -> None:
    if not built_in(call.name):
        writer.message(
            "assistant",
            call.arguments,
            recipient=f"{FUNCTIONS}.{call.name}",
            channel="commentary",
            content_type=JSON,
            end=CALL,
        )
        return
    code = _code(call.arguments) if call.name == "python" else None
    writer.message(
        "assistant",
        call.arguments if code is None else code,
        recipient=call.name,
        channel="analysis",
        content_type="code",
        end=CALL,
    )


def _code(arguments: str) -> str | None:
    """Return the code of a call of the python tool, which is written bare."""
    try:
        value = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return None
    code = value.get("code") if isinstance(value, dict) and len(value) == 1 else None
    return code if isinstance(code, str) else None


def _results(writer: Writer, message: Message, *, whole: bool) -> None:
    for part in message.parts:
        if not isinstance(part, ToolResult):
            continue
        if not built_in(part.name):
            author, channel = f"{FUNCTIONS}.{part.name}", "commentary"
        elif whole:
            author, channel = part.name, "analysis"
        else:
            continue
        writer.message(author, part.text, recipient="assistant", channel=channel)

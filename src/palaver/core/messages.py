"""The one message type: immutable, written once when it is complete, never changed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["system", "user", "assistant", "tool"]
Stop = Literal["end", "length", "cancelled", "error"]


ARGUMENTS = "the arguments are"  # begins the error of a call that came whole, but for them


class Text(Struct, frozen=True, tag="text", omit_defaults=True):
    """Plain text that a reader sees.

    `error` says what was wrong with the way the model wrote it (outside its format, say).
    """

    text: str
    error: str | None = None


class Reasoning(Struct, frozen=True, tag="reasoning", omit_defaults=True):
    """What a model thought before it answered; `error` as in a `Text`."""

    text: str
    error: str | None = None


class ToolCall(Struct, frozen=True, tag="call", omit_defaults=True):
    """A tool call as the model wrote it.

    `arguments` is the raw JSON text. `error` says why it can't be run as it stands (cut off,
    not JSON, no name); the call is kept all the same, because what a model said is data.
    """

    id: str
    name: str
    arguments: str
    error: str | None = None


class ToolResult(Struct, frozen=True, tag="result", omit_defaults=True):
    """What running a call gave; exactly one stands for each call.

    `text` is what the model is told. Where that is a cut, `whole` is all of it. `changed` names
    the files that a program changed ("" for none; None where that was not looked at).
    """

    call_id: str
    name: str
    text: str
    failed: bool = False
    whole: str = ""
    changed: str | None = None


Part = Text | Reasoning | ToolCall | ToolResult


class Message(Struct, frozen=True, tag="message", omit_defaults=True):
    """One message of a conversation.

    `stop` is set on an assistant's message: "end" the model ended it, "length" a limit did,
    "cancelled" the user did, "error" the engine did. All but "end" leave partial parts. On a
    tool's message "cancelled" says that the user stopped the turn there.
    """

    role: Role
    parts: tuple[Part, ...]
    stop: Stop | None = None

    @property
    def text(self) -> str:
        """The visible text, parts joined without a separator."""
        return "".join(p.text for p in self.parts if isinstance(p, Text))

    @property
    def reasoning(self) -> str:
        """The reasoning text, parts joined without a separator."""
        return "".join(p.text for p in self.parts if isinstance(p, Reasoning))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(p for p in self.parts if isinstance(p, ToolCall))


def system(text: str) -> Message:
    """Make a system message."""
    return Message("system", (Text(text),))


def user(text: str) -> Message:
    """Make a user message."""
    return Message("user", (Text(text),))


def assistant(text: str, stop: Stop = "end") -> Message:
    """Make an assistant message of plain text."""
    return Message("assistant", (Text(text),), stop)

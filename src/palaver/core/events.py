"""What a turn is made of while it comes.

A model's answer is any number of `Prefill` and `Waiting`; then deltas in the order the model wrote
them, a `CallParsed` after the `CallDelta`s of its call; then exactly one `MessageDone`, last.
Joining the deltas gives the parts of `MessageDone.message`. Closing the iterator cancels it.

The loop adds what the calls do: `ToolStarted`, any number of `ToolOutput`, `ToolFinished`; calls
that run side by side are told apart by `call_id`. A call that never ran is finished alone.
`StateChanged` stands before what is done in that state.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from palaver.core.generation import Generation
from palaver.core.messages import Message, ToolCall, ToolResult


class Prefill(Struct, frozen=True, tag="prefill"):
    """The engine has read `done` of `total` prompt tokens, `reused` of them from its cache."""

    done: int
    total: int
    reused: int


class Waiting(Struct, frozen=True, tag="waiting"):
    """Nothing is asked for `seconds` more; `why` says what happened. Nothing was said so far."""

    why: str
    seconds: int


# The deltas hold texts and numbers alone, and there are many: no cycle for the collector to find
class TextDelta(Struct, frozen=True, tag="text", omit_defaults=True, gc=False):
    """More of the visible text.

    `new` begins another part, also after one of the same kind; `error` says what was wrong with
    the way the model wrote it.
    """

    text: str
    new: bool = False
    error: str | None = None


class ReasoningDelta(Struct, frozen=True, tag="reasoning", omit_defaults=True, gc=False):
    """More of the reasoning; `new` and `error` as in a `TextDelta`."""

    text: str
    new: bool = False
    error: str | None = None


class CallDelta(Struct, frozen=True, tag="call_delta", omit_defaults=True, gc=False):
    """More of call number `index` of this reply: its name once known, then raw arguments."""

    index: int
    name: str | None = None
    arguments: str = ""


class CallParsed(Struct, frozen=True, tag="call"):
    """A call is complete, or as complete as it gets (`call.error`)."""

    index: int
    call: ToolCall


class Raw(Struct, frozen=True, tag="raw", omit_defaults=True):
    """Tokens' own text, control tokens too, before any parsing; where it was asked for alone.

    `prompt`: it was read, not sampled. It stands before what is parsed of it.
    """

    text: str
    prompt: bool = False


class Logprobs(Struct, frozen=True, tag="logprobs"):
    """What the engine said of tokens that were sampled; where `Sampling.logprobs` asked for it.

    It stands before what is parsed of them. Each has `id`, `token` (text), `bytes`, `logprob`
    (natural) and `top_logprobs`, a list of the same.
    """

    tokens: tuple[dict[str, Any], ...]


class MessageDone(Struct, frozen=True, tag="done", omit_defaults=True):
    """The reply is complete."""

    message: Message
    generation: Generation | None = None


class ToolStarted(Struct, frozen=True, tag="tool_started"):
    """A call runs."""

    call: ToolCall


class ToolOutput(Struct, frozen=True, tag="tool_output"):
    """Something that a running tool printed, for the user; what the model gets is the result."""

    call_id: str
    text: str


class ToolFinished(Struct, frozen=True, tag="tool_finished"):
    """A call has its result, on disk; `seconds` is how long the tool ran."""

    result: ToolResult
    seconds: float = 0.0


State = Literal["idle", "thinking", "awaiting tool", "goodbye"]


class StateChanged(Struct, frozen=True, tag="state"):
    """What the chat does from here on."""

    state: State


ParserEvent = TextDelta | ReasoningDelta | CallDelta | CallParsed
ToolEvent = ToolStarted | ToolOutput | ToolFinished
Event = Prefill | Waiting | Raw | Logprobs | ParserEvent | MessageDone | ToolEvent | StateChanged

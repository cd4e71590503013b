"""What a model's answer is made of while it comes.

Order: any number of `Prefill`; then deltas in the order the model wrote them, a `CallParsed`
after the `CallDelta`s of its call; then exactly one `MessageDone`, last. Joining the deltas
gives the parts of `MessageDone.message`. Closing the iterator earlier cancels the generation.
"""

from __future__ import annotations

from msgspec import Struct

from palaver.core.generation import Generation
from palaver.core.messages import Message, ToolCall


class Prefill(Struct, frozen=True, tag="prefill"):
    """The engine has read `done` of `total` prompt tokens, `reused` of them from its cache."""

    done: int
    total: int
    reused: int


class TextDelta(Struct, frozen=True, tag="text", omit_defaults=True):
    """More of the visible text.

    `new` begins another part, also after one of the same kind; `error` says what was wrong with
    the way the model wrote it.
    """

    text: str
    new: bool = False
    error: str | None = None


class ReasoningDelta(Struct, frozen=True, tag="reasoning", omit_defaults=True):
    """More of the reasoning; `new` and `error` as in a `TextDelta`."""

    text: str
    new: bool = False
    error: str | None = None


class CallDelta(Struct, frozen=True, tag="call_delta", omit_defaults=True):
    """More of call number `index` of this reply: its name once known, then raw arguments."""

    index: int
    name: str | None = None
    arguments: str = ""


class CallParsed(Struct, frozen=True, tag="call"):
    """A call is complete, or as complete as it gets (`call.error`)."""

    index: int
    call: ToolCall


class MessageDone(Struct, frozen=True, tag="done", omit_defaults=True):
    """The reply is complete. `generation` is None for a model that gives no ids."""

    message: Message
    generation: Generation | None = None


ParserEvent = TextDelta | ReasoningDelta | CallDelta | CallParsed
Event = Prefill | ParserEvent | MessageDone

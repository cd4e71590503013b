"""What the loop needs of whoever sits in front of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from palaver.core.events import Event
from palaver.core.messages import ToolCall
from palaver.core.tool import Preview

Show = Callable[[Sequence[Event]], None]
NOBODY = "nobody is there to be asked; a rule in the user's config can allow it"


class Question(Struct, frozen=True):
    """Whether a call may run. `preview` is what it will do.

    `always` is the rule that the user may make of it; `interrupted`: it was under way when the
    program ended, and had `printed` this.
    """

    call: ToolCall
    preview: Preview
    reason: str
    always: str | None = None
    interrupted: bool = False
    printed: str = ""

    @property
    def digest(self) -> str:
        """Names the bytes that were shown: an answer holds for these alone."""
        seen = self.preview
        shown = (self.call.name, self.call.arguments, seen.title, seen.text, *seen.notes)
        data = b"".join(
            b"%d:%b" % (len(text), text)
            for text in (part.encode("utf-8", "surrogatepass") for part in shown)
        )
        return hashlib.blake2b(data, digest_size=16).hexdigest()


class Answer(Struct, frozen=True):
    """What the user said to a question; `reason` is for the model, where it is no."""

    allowed: bool
    by: Literal["once", "session", "always"] = "once"
    reason: str = ""


async def nobody(_question: Question) -> Answer:
    """Answer for a user who can't be asked."""
    return Answer(allowed=False, reason=NOBODY)


@dataclass
class Front:
    """Who watches a turn.

    `show` gets events a frame at a time, each after it was written to disk. `ask` puts a
    question to the user. `typed` returns what they typed ahead and would say now, `sent` says
    that it was said. `halt` is set when they stop the turn.
    """

    show: Show
    ask: Callable[[Question], Awaitable[Answer]] = nobody
    typed: Callable[[], str | None] = lambda: None
    sent: Callable[[], None] = lambda: None
    halt: asyncio.Event = field(default_factory=asyncio.Event)

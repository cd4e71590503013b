"""What happens next, as a pure function of the log: nothing else stores a state."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from palaver.core.log import Row
from palaver.core.messages import Message


class Generate(Struct, frozen=True, tag="generate"):
    """The model has to answer."""


class AwaitUser(Struct, frozen=True, tag="await_user"):
    """The user has to say something.

    `why`: "empty", "answered", "cut off" (see /continue); "unanswered" where the loop stopped
    before the first word (see /retry).
    """

    why: str


Step = Generate | AwaitUser


def next_step(rows: Sequence[Row]) -> Step:
    """Say what the log asks for. Total: every log has exactly one answer."""
    for row in reversed(rows):
        entry = row.entry
        if isinstance(entry, Message) and entry.role != "system":
            if entry.role != "assistant":
                return Generate()
            return AwaitUser("answered" if entry.stop in (None, "end") else "cut off")
    return AwaitUser("empty")

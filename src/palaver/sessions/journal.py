"""What is under way, as it stands in the journal, and what becomes of it after a crash.

A piece of an answer stands below what it answers, what a call printed below the entry that says
that it began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import get_args

from msgspec import structs

from palaver.core.errors import StoreError
from palaver.core.log import CallStarted, Entry, JournalKind, Notice, Printed
from palaver.core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult
from palaver.core.printed import plain

PRINTED = "printed"
KINDS = (*get_args(JournalKind), PRINTED)
_LONGEST = 20_000  # characters of what a command had printed: a message begins with them

# In a piece of the kind "call" a line break, a name and a space begin a call (as palaver.chat.run
# writes it), all else is more of the newest call's arguments.
_CALL = re.compile(r"\n([\w.:-]{1,64}) ")

CUT_CALL = "palaver ended while the model was writing this call"
NOTICE = Notice(
    "info",
    "palaver ended while this answer was being written. What had been shown of it was kept.",
)


def rebuild(pieces: Iterable[tuple[str, str]]) -> Message:
    """Make the message that the (kind, text) pieces of a journal are the beginning of.

    Its stop is "error". A call in it has an error, so that nothing runs it.
    """
    parts: list[Part] = []
    for kind, run in groupby(pieces, key=lambda piece: piece[0]):
        text = "".join(text for _, text in run)
        match kind:
            case "text":
                parts.append(Text(text))
            case "reasoning":
                parts.append(Reasoning(text))
            case "call":
                _add_calls(parts, text)
            case _:
                raise StoreError(f"The journal holds a piece of unknown kind {kind!r}.")
    return Message("assistant", tuple(parts), "error")


def printed(begun: Entry | None, text: str) -> Entry:
    """Make the entry of what was printed since `begun`, a call or a command of the user's."""
    if isinstance(begun, CallStarted):
        return Printed(begun.call_id, text)
    said = f"{begun.text}\n" if isinstance(begun, Notice) else ""
    seen = plain(text)
    if len(seen) > _LONGEST:
        seen = f"[{len(seen) - _LONGEST} characters are left out here]\n{seen[-_LONGEST:]}"
    return Notice("exec", f"{said}{seen}\n[palaver ended while this ran]")


def ends(entry: Entry, begun: Entry | None) -> bool:
    """Say whether an entry holds what was printed since `begun`."""
    if not isinstance(begun, CallStarted):
        return isinstance(entry, Notice) and entry.kind == "exec"
    return isinstance(entry, Message) and any(
        isinstance(part, ToolResult) and part.call_id == begun.call_id for part in entry.parts
    )


def _add_calls(parts: list[Part], text: str) -> None:
    before, *named = _CALL.split(text)
    last = parts[-1] if parts else None
    if before and isinstance(last, ToolCall):
        parts[-1] = structs.replace(last, arguments=last.arguments + before)
    elif before:
        named = ["", before, *named]
    for name, arguments in zip(named[::2], named[1::2], strict=True):
        number = sum(isinstance(part, ToolCall) for part in parts) + 1
        parts.append(ToolCall(f"cut-{number}", name, arguments, CUT_CALL))

"""The calls of a turn as the log tells of them: asked, allowed, started, done."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from palaver.core.log import Approval, CallStarted, Printed, Row
from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.core.tool import readable


class Call(Struct, frozen=True):
    """A call and what became of it.

    `started`: it was begun; an `approval` after that is for beginning it again. `printed` is
    what it had printed when the program ended while it ran.
    """

    call: ToolCall
    approval: Approval | None = None
    started: bool = False
    printed: str = ""
    result: ToolResult | None = None

    @property
    def same(self) -> tuple[str, str]:
        """What makes two calls the same."""
        return self.call.name, self.call.arguments

    def lost(self, said: str = "") -> str:
        """Return the result of a call that was under way when the program ended, and stays so.

        `said` is the user's reason.
        """
        text = "not run again: it was under way when the program ended, what it did is not known"
        text += f"; the user says: {said}" if said else ""
        return text + (f"; it had printed:\n{self.printed}" if self.printed else "")


def calls_of(rows: Sequence[Row]) -> list[list[Call]]:
    """Return the calls since the newest user message, a list for each answer that has some."""
    turn: list[list[Call]] = []
    for row in rows:
        entry = row.entry
        if isinstance(entry, Message) and entry.role == "user":
            turn = []
        elif isinstance(entry, Message) and entry.calls:
            turn.append([Call(readable(call)) for call in entry.calls])
        elif turn:
            _learn(turn[-1], entry)
    return turn


def _learn(calls: list[Call], entry: object) -> None:
    """Take what an entry says of calls; where two have one id it is of the first without it."""
    if isinstance(entry, Approval):
        _change(calls, entry.call_id, approval=entry)
    elif isinstance(entry, CallStarted):
        _change(calls, entry.call_id, started=True, approval=None, printed="")
    elif isinstance(entry, Printed):
        _change(calls, entry.call_id, printed=entry.text)
    elif isinstance(entry, Message):
        for part in entry.parts:
            if isinstance(part, ToolResult):
                _change(calls, part.call_id, result=part)


def _change(calls: list[Call], call_id: str, **values: object) -> None:
    for i, call in enumerate(calls):
        if call.call.id == call_id and call.result is None:
            calls[i] = structs.replace(call, **values)
            return


def open_calls(rows: Sequence[Row]) -> list[Call]:
    """Return the calls of the newest answer that have no result yet."""
    turn = calls_of(rows)
    return [call for call in turn[-1] if call.result is None] if turn else []


def done_calls(rows: Sequence[Row]) -> list[ToolCall]:
    """Return the calls on a path that were begun, in every turn."""
    done: list[ToolCall] = []
    made: dict[str, ToolCall] = {}
    for row in rows:
        if isinstance(row.entry, Message) and row.entry.calls:
            made = {call.id: readable(call) for call in row.entry.calls}
        elif isinstance(row.entry, CallStarted) and row.entry.call_id in made:
            done.append(made[row.entry.call_id])
    return done


def wholes(rows: Sequence[Row]) -> list[str]:
    """Return the results that were cut for the model, whole; the first has the handle "1"."""
    return [
        part.whole
        for row in rows
        if isinstance(row.entry, Message)
        for part in row.entry.parts
        if isinstance(part, ToolResult) and part.whole
    ]

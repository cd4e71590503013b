"""What happens next, as a pure function of the log: nothing else stores a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from palaver.chat.calls import Call, calls_of
from palaver.core import tool
from palaver.core.events import State
from palaver.core.log import Row
from palaver.core.messages import Message, ToolCall


class Generate(Struct, frozen=True, tag="generate"):
    """The model has to answer."""


class Ask(Struct, frozen=True, tag="ask"):
    """The user has to say whether a call may run, for this `reason`.

    `always` is the rule that they could make of it. `interrupted`: the call was under way when
    the program ended, and nobody knows what it did; it had `printed` this.
    """

    call: ToolCall
    reason: str
    always: str | None = None
    interrupted: bool = False
    printed: str = ""


class RunTools(Struct, frozen=True, tag="run_tools"):
    """These calls have to run: one, or several that may run side by side."""

    calls: tuple[Call, ...]


class Refuse(Struct, frozen=True, tag="refuse"):
    """A call does not run; `reason` is its result."""

    call: ToolCall
    reason: str


class AwaitUser(Struct, frozen=True, tag="await_user"):
    """The user has to say something.

    `why`: "empty", "answered", "cut off" (see /continue); "unanswered" where the loop stopped
    before the first word (see /retry); "stopped" where the user ended a tool; "tool rounds"
    where the model called tools again and again.
    """

    why: str


Step = Generate | Ask | RunTools | Refuse | AwaitUser
Judge = Callable[[ToolCall], tool.Verdict]
ROUNDS = 8


def _no_tools(call: ToolCall) -> tool.Verdict:
    return tool.Deny(f"there is no tool {call.name!r}: tools are off")


@dataclass(frozen=True)
class Rules:
    """What bounds a turn: whether a call may run, which only read, how often tools may be used."""

    judge: Judge = _no_tools
    reads: frozenset[str] = frozenset()
    rounds: int = ROUNDS


def next_step(rows: Sequence[Row], rules: Rules | None = None) -> Step:
    """Say what the log asks for. Total: every log has exactly one answer."""
    rules = rules or Rules()
    for at in range(len(rows) - 1, -1, -1):
        entry = rows[at].entry
        if isinstance(entry, Message) and entry.role != "system":
            break
    else:
        return AwaitUser("empty")
    if entry.role == "user":
        return Generate()
    if entry.role == "assistant" and entry.stop in ("cancelled", "error"):
        return AwaitUser("cut off")
    if entry.role == "assistant" and not entry.calls:
        return AwaitUser("answered" if entry.stop in (None, "end") else "cut off")
    if entry.role == "tool" and entry.stop == "cancelled":
        return AwaitUser("stopped")
    turn = calls_of(rows)
    if step := _open_call(turn, rules):
        return step
    return Generate() if len(turn) <= rules.rounds + 1 else AwaitUser("tool rounds")


def state_of(step: Step) -> State:
    """Say what a front end shows while a step is done."""
    if isinstance(step, Generate):
        return "thinking"
    return "idle" if isinstance(step, AwaitUser) else "awaiting tool"


def _open_call(turn: Sequence[Sequence[Call]], rules: Rules) -> Step | None:
    """Say what becomes of the first call that has no result; None if all have one."""
    before = [call for answer in turn[:-1] for call in answer]
    ready: list[Call] = []
    for call in turn[-1] if turn else ():
        before.append(call)
        if call.result is not None:
            continue
        step = _one(call, before[:-1], len(turn) > rules.rounds, rules)
        if not isinstance(step, RunTools):
            return RunTools(tuple(ready)) if ready else step
        if call.call.name not in rules.reads:
            return RunTools(tuple(ready)) if ready else step
        ready.append(call)
    return RunTools(tuple(ready)) if ready else None


def _one(call: Call, before: Sequence[Call], spent: bool, rules: Rules) -> Step:
    made = call.call
    if call.started:
        return _interrupted(call, rules)
    if made.error:
        return Refuse(made, f"error: the call can't be read: {made.error}")
    if spent:
        return Refuse(
            made,
            f"not run: the {rules.rounds} rounds of tools of this turn are used up;"
            " answer with what is known",
        )
    if [c.same for c in before[-2:]] == [call.same] * 2:
        return Refuse(
            made, "not run: the same call was made twice already; its result stands above"
        )
    if call.approval:
        if call.approval.allowed:
            return RunTools((call,))
        said = call.approval.reason
        return Refuse(made, f"declined by the user: {said}" if said else "declined by the user")
    verdict = rules.judge(made)
    if isinstance(verdict, tool.Deny):
        return Refuse(made, verdict.reason)
    if isinstance(verdict, tool.Ask):
        return Ask(made, verdict.reason, verdict.always)
    return RunTools((call,))


def _interrupted(call: Call, rules: Rules) -> Step:
    """Say what becomes of a call that was begun and has no result: only the user can know."""
    verdict = rules.judge(call.call)
    if call.approval is None and not isinstance(verdict, tool.Deny):
        why = "it was under way when palaver ended"
        return Ask(call.call, why, interrupted=True, printed=call.printed)
    if call.approval and call.approval.allowed:
        return RunTools((call,))
    return Refuse(call.call, call.lost(call.approval.reason if call.approval else ""))

"""Decides whether a call may run: one pure function of the call, the rules and the state."""

from __future__ import annotations

from typing import NamedTuple

from palaver.core.messages import ToolCall
from palaver.core.tool import Allow, Ask, Deny, ToolSpec, Verdict
from palaver.tools.consent.answers import rule_of
from palaver.tools.consent.calls import Kind, Part, Reading, State, UnreadableError, read_call
from palaver.tools.consent.rules import Preset, Rule, Rules, Then

# What a preset does with each kind. `auto` trusts the sandbox, so it wants one.
_PRESETS: dict[Preset, dict[Then, tuple[Kind, ...]]] = {
    "read-only": {"allow": ("read",), "ask": ("look",)},
    "ask": {"allow": ("read",), "ask": ("look", "write", "reach", "run", "use", "send")},
    "auto": {"allow": ("read", "write", "run", "use", "send"), "ask": ("look", "reach")},
}
_SAID: dict[Kind, str] = {
    "read": "only reads",
    "look": "reads outside the folder",
    "write": "changes files",
    "reach": "changes files outside the folder",
    "run": "may do more than read",
    "use": "may do more than read",
    "send": "sends something off this computer",
}
_STRICT: tuple[Then, ...] = ("allow", "ask", "deny")
_SHOWN = 80  # characters of a command that stand in a reason; the question shows it whole


class _Judged(NamedTuple):
    then: Then
    reason: str


def decide(call: ToolCall, spec: ToolSpec, rules: Rules, state: State) -> Verdict:
    """Say whether a call may run, must be asked about or may not run, and why. Never raises.

    Each command of a shell line, and each file that a call names, is judged by the last rule
    that fits, else by the preset; what is doubtful asks in spite of being allowed, unless the
    rule names that doubt. The strictest judgement is the verdict.
    """
    try:
        reading = read_call(call, spec, state)
    except UnreadableError as error:
        return Deny(f"error: {spec.name}: {error}")
    found = [(part, _last(rules, reading, part)) for part in reading.parts]
    network = _network(found)
    judged = [_judge(part, rule, rules.preset, state, network) for part, rule in found]
    then = max((one.then for one in judged), key=_STRICT.index)
    reason = "; ".join(dict.fromkeys(one.reason for one in judged if one.then == then))
    if then == "allow":
        return Allow(reason, network)
    if then == "deny":
        return Deny(f"not allowed: {reason}")
    if not state.asks:
        return Deny(f"not allowed: {reason}, and nobody is there to be asked")
    rule = rule_of(reading, state, network)
    return Ask(reason, str(rule) if rule else None, network)


def _last(rules: Rules, reading: Reading, part: Part) -> Rule | None:
    return next((rule for rule in reversed(rules.rules) if rule.fits(reading, part)), None)


def _network(found: list[tuple[Part, Rule | None]]) -> bool:
    """Say whether rules give the call the network: to all of it that does more than read."""
    given = [rule is not None and rule.network and rule.then == "allow" for _, rule in found]
    return any(given) and all(
        has or part.kind in ("read", "look") for has, (part, _) in zip(given, found, strict=True)
    )


def _judge(part: Part, rule: Rule | None, preset: Preset, state: State, network: bool) -> _Judged:
    shown = f"`{part.shown if len(part.shown) <= _SHOWN else part.shown[:_SHOWN] + '…'}`"
    if rule is not None:
        verb = {"allow": "allows", "ask": "asks about", "deny": "forbids"}[rule.then]
        then, reason = rule.then, f"{rule.source} {verb} {shown}"
    else:
        kinds = _PRESETS[preset]
        then = next((then for then, some in kinds.items() if part.kind in some), "deny")
        reason = f"{shown} {_SAID[part.kind]}"
        if preset == "auto" and part.kind == "run" and not state.sandboxed:
            then, reason = "ask", f"{shown} would run without a sandbox"
        if then != "ask" and part.kind != "read":
            reason += f"; the preset {preset} {'allows' if then == 'allow' else 'forbids'} that"
    if then == "deny":
        return _Judged(then, reason)
    even = rule.even if rule else ()
    doubts = [text for doubt, text in part.doubts if doubt not in even]
    outward = part.kind == "send" or (part.kind == "run" and (network or not state.sandboxed))
    if outward and state.tainted and "tainted" not in even:
        doubts.append(f"it could send out what untrusted text asks for ({state.tainted[-1]})")
    if doubts:
        return _Judged("ask", f"{shown}: {', '.join(doubts)}")
    return _Judged(then, reason)

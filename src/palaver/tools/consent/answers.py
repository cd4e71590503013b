"""What the user is shown when asked, and the rule that an answer stands for. All pure."""

from __future__ import annotations

import re
import unicodedata

import msgspec

from palaver.core.messages import ToolCall
from palaver.core.tool import Deny, Preview, ToolSpec, Verdict
from palaver.tools.consent.calls import Reading, State, UnreadableError, read_call
from palaver.tools.consent.rules import Rule, exactly

_LONG = 30  # blanks in a row that may push what follows out of sight


def question(call: ToolCall, state: State, preview: str, verdict: Verdict) -> Preview:
    """Make what is shown when a call is asked about; `preview` is what its tool says will happen.

    All of it is untrusted text, to be escaped by who shows it, and the text to be shown to its
    end. The notes say what an eye may miss, and what the call runs with.
    """
    notes = [*_size(preview), *_odd(preview)]
    if not isinstance(verdict, Deny) and verdict.network:
        notes.append("it may use the network")
    if not state.sandboxed:
        notes.append("it runs without a sandbox")
    return Preview(preview, f"{call.name} in {state.folder or state.root}", tuple(notes))


def _size(text: str) -> list[str]:
    lines = text.removesuffix("\n").count("\n") + 1
    said = f"{lines:,} lines" if lines > 1 else "1 line"
    notes = [f"{said}, {len(text):,} characters"] if lines > 1 or len(text) > 200 else []
    if gap := re.search(rf"[^\S\n]{{{_LONG},}}(?=\S)|\n{{{_LONG},}}(?=.)", text):
        notes.append(f"{len(gap[0])} blanks in a row, with more text behind them")
    return notes


def _odd(text: str) -> list[str]:
    """Name letters that look like others: those of another script in a word with Latin ones."""
    found: dict[str, None] = {}
    for word in re.findall(r"[^\W\d_]+", text):
        if not word.isascii() and re.search(r"[A-Za-z]", word):
            found |= dict.fromkeys(
                c for c in word if not unicodedata.name(c, "?").startswith(_LATIN)
            )
    found |= dict.fromkeys(c for c in text if not c.isprintable() and c not in "\n\t")
    return [f"U+{ord(c):04X} {unicodedata.name(c, 'unnamed')}" for c in list(found)[:10]]


_LATIN = ("LATIN", "COMBINING")


def rule_for(call: ToolCall, spec: ToolSpec, state: State, verdict: Verdict) -> Rule | None:
    """Return the rule that "for this session" and "always" stand for, None if there is none."""
    try:
        reading = read_call(call, spec, state)
    except UnreadableError:
        return None
    return rule_of(reading, state, not isinstance(verdict, Deny) and verdict.network)


def rule_of(reading: Reading, state: State, network: bool) -> Rule | None:
    """Make the narrowest rule that allows a call again, in this folder alone.

    A shell line by its whole text, files by their paths, any other call by its tool. There is
    none where it would not help: against a taint, and for code that looks destructive.
    """
    doubts = {doubt for part in reading.parts for doubt, _ in part.doubts}
    leaves = network or not state.sandboxed or any(part.kind == "send" for part in reading.parts)
    paths = {path for part in reading.parts for path in part.paths}
    even = tuple(sorted(doubts))
    if (state.tainted and leaves) or (reading.line is None and {"/", reading.root} & paths):
        return None  # a path stands for all below it: never for everything
    rule = Rule("allow", exactly(reading.tool), folder=reading.folder, source="your answer")
    if reading.line is not None:
        rule = _with(rule, line=reading.line, network=network, even=even)
    elif reading.parts and all(part.sure for part in reading.parts):
        rule = _with(rule, path=tuple(sorted(paths)), even=even)
    elif doubts:
        return None
    return rule if _written(rule) else None


def _with(rule: Rule, **changes: object) -> Rule:
    return msgspec.structs.replace(rule, **changes)


def _written(rule: Rule) -> bool:
    try:
        str(rule).encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair stands in no file
        return False
    return True

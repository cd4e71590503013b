"""The question whether a call may run: how it is put, and what an answer to it means."""

from __future__ import annotations

from palaver.chat.front import Answer, Question
from palaver.terminal.escape import visible

_LAST = 12  # lines after which a long preview says again what it is about


def put(question: Question) -> str:
    """Write a question: what will run, whole and escaped, why it is asked, the answers."""
    shown = visible(question.preview).split("\n")
    name = visible(question.call.name, newlines=False)
    again = "run it again?" if question.interrupted else "may it run?"
    size = f" ({len(shown)} lines)" if len(shown) > _LAST else ""
    head = f"{name}{size}: {again} {visible(question.reason, newlines=False)}"
    lines = [head, *(f"  | {line}" for line in shown)]
    if len(shown) > _LAST:
        lines.append(head)
    if question.always:
        rule = visible(question.always, newlines=False)
        lines.append("y once, s for this session, a always, n no, n and a reason for the model")
        lines.append(f"a writes the rule: {rule}")
    else:
        lines.append("y once, n no, n and a reason for the model")
    return "\n".join(lines)


def read(line: str, question: Question) -> Answer | None:
    """Return what a line answers; None where it is no answer to this question."""
    word, _, rest = line.strip().partition(" ")
    word, reason = word.casefold().rstrip(":,"), rest.strip()
    if word in ("n", "no"):
        return Answer(allowed=False, reason=reason)
    if reason:
        return None
    if word in ("y", "yes", "once"):
        return Answer(allowed=True)
    if question.always and word in ("s", "session"):
        return Answer(allowed=True, by="session")
    if question.always and word in ("a", "always"):
        return Answer(allowed=True, by="always")
    return None


def unread(question: Question) -> str:
    """Say which answers there are."""
    return (
        "answer y, s, a, n, or n and a reason"
        if question.always
        else "answer y, n, or n and a reason"
    )

"""The question whether a call may run: how it is put, and what an answer to it means."""

from __future__ import annotations

from palaver.chat.front import Answer, Question
from palaver.terminal import width
from palaver.terminal.diff import style
from palaver.terminal.escape import visible
from palaver.terminal.fold import folded
from palaver.terminal.toolview import printed_rows

_MARK = "  | "
_MORE = "    "  # before a row that goes on with the one above
_DIFFS = ("write_file", "apply_patch")  # what they show is a diff


def put(question: Question, columns: int, *, color: bool) -> str:
    """Write a question: what will run, whole and escaped, why it is asked, the answers.

    Every row of what will run begins with a mark, so that it can't look like anything else.
    """
    preview = question.preview
    shown: list[str] = []
    for line in visible(preview.text.removesuffix("\n")).split("\n"):
        sgr = style(line) if color and question.call.name in _DIFFS else None
        shown += [_MARK + (f"\x1b[{sgr}m{p}\x1b[0m" if sgr else p) for p in _pieces(line, columns)]

    def said(text: str) -> str:
        return folded(visible(text, newlines=False), columns - 1, rest=_MORE)

    lines = [said(preview.title or question.call.name), *shown]
    lines += [said(f"  ! {note}") for note in preview.notes]
    if question.printed:
        lines += ["it had printed:", *printed_rows(question.printed, columns, color=color)]
    if question.always:
        rule = ", ".join(question.always.rstrip().split("\n")[1:])
        lines.append(said(f"always would write the rule: {rule}"))
    again = "may it run again?" if question.interrupted else "may it run?"
    lines.append(said(f"{question.call.name}: {again} {question.reason}"))
    return "\n".join([*lines, said(unread(question))])


def _pieces(line: str, columns: int) -> list[str]:
    """Cut a line where the terminal would break it."""
    room, rest = max(8, columns - len(_MARK) - 1), line.expandtabs(8)
    pieces: list[str] = []
    while True:
        at = width.split(rest, room)
        pieces.append(rest[:at])
        rest = rest[at:]
        if not rest:
            return pieces


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
    lasting = "s for this session, a always, " if question.always else ""
    return f"y once, {lasting}n no, n and a reason for the model; Ctrl-C stops the turn"

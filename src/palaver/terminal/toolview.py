"""What a tool does, as lines between two answers."""

from __future__ import annotations

from palaver.core.events import ToolFinished, ToolStarted
from palaver.core.messages import ToolResult
from palaver.terminal import width
from palaver.terminal.answer import DIM
from palaver.terminal.escape import visible
from palaver.terminal.fold import folded
from palaver.terminal.words import plural, seconds

_LINES = 8  # of a result that are shown; what it gave the model stands whole in the session
_RED = "31"


def tool_line(event: ToolStarted | ToolFinished, *, printed: bool = False) -> str:
    """Write a line about a call that begins or is over, for plain output; not escaped.

    `printed`: what it printed was shown as it came, and only why it failed is new.
    """
    if isinstance(event, ToolStarted):
        return f"[call] {event.call.name}({event.call.arguments})"
    return "\n".join([f"[result] {summary(event)}", *_shown(event.result, printed=printed)])


def summary(event: ToolFinished) -> str:
    """Say how a call ended: its tool, whether it failed, how much it gave, how long it took."""
    result = event.result
    text = (result.whole or result.text).rstrip("\n")
    size = plural(text.count("\n") + 1, "line")
    cut = f", cut to {len(result.text)} characters for the model" if result.whole else ""
    took = f" in {seconds(event.seconds)}" if event.seconds >= 1 else ""
    changed = f"; changed {result.changed} (/undo leaves that)" if result.changed else ""
    return f"{result.name}{' failed' if result.failed else ''}: {size}{cut}{took}{changed}"


def result_rows(
    event: ToolFinished, columns: int, *, color: bool, printed: bool = False
) -> list[str]:
    """Return the rows of a result, escaped: how it ended and its first lines (see `tool_line`)."""
    style = _RED if event.result.failed else DIM
    said = visible(f"[result] {summary(event)}", newlines=False)
    head = folded(said, columns - 1, rest="    ").split("\n")
    shown = _shown(event.result, printed=printed)
    return [_styled(row, style, color=color) for row in (*head, *_rows(shown, columns))]


def output_rows(text: str, columns: int, *, color: bool) -> list[str]:
    """Return the rows of something that a running tool printed, escaped."""
    lines = text.removesuffix("\n").split("\n")
    return [_styled(row, DIM, color=color) for row in _rows(lines, columns)]


def printed_rows(text: str, columns: int, *, color: bool) -> list[str]:
    """Return the last rows of what a call had printed before it was cut off, escaped."""
    lines = text.removesuffix("\n").split("\n")
    more = len(lines) - _LINES
    shown = [f"... {plural(more, 'earlier line')}", *lines[-_LINES:]] if more > 0 else lines
    return [_styled(row, DIM, color=color) for row in _rows(shown, columns)]


def _shown(result: ToolResult, *, printed: bool) -> list[str]:
    lines = result.text.rstrip("\n").split("\n")
    if printed:
        return lines[-1:] if result.failed else []
    more = len(lines) - _LINES
    return [*lines[:_LINES], f"... {plural(more, 'more line')}"] if more > 0 else lines


def _rows(lines: list[str], columns: int) -> list[str]:
    """Escape lines and cut each where the terminal would break it."""
    room = max(8, columns - 3)
    rows = []
    for line in lines:
        text = visible(line[: 4 * room].expandtabs(8), newlines=False)
        rows.append("  " + (text if width.most(text) <= room else chopped(text, room)))
    return rows


def chopped(text: str, room: int) -> str:
    """Return the beginning of a text that takes more cells than there are."""
    return text[: width.split(text, room - 1)] + "…"


def _styled(row: str, style: str, *, color: bool) -> str:
    return f"\x1b[{style}m{row}\x1b[0m" if color else row

"""Takes back what the calls of undone turns did to files, and does it again for /redo.

What a call made of files stands in the log, written before it ran, so this works in any later
process. A file that somebody changed since is left alone and named. What programs changed is
known by name only: it is said, not undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from palaver.core.log import CallStarted, Row
from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.core.tool import ToolContext, ToolError, readable
from palaver.tools import files, restore
from palaver.tools.chosen import PROGRAMS
from palaver.tools.toolbox import Box, load

Done = tuple[CallStarted, ToolCall, ToolResult | None]


def undo(rows: Sequence[Row]) -> list[str]:
    """Put back what the calls in `rows` changed, the newest first; return a line for each file."""
    lines: list[str] = []
    for started, call, result in reversed(_done(rows)):
        changed = result.changed if result else None
        if started.changes:
            lines += restore.restore(Path(started.root), started.changes)
        elif changed:
            lines.append(f"not undone: {call.name} changed {changed}")
        elif changed is None and call.name in PROGRAMS:
            lines.append(f"not undone: what {call.name} did")
    return list(dict.fromkeys(lines))


async def redo(rows: Sequence[Row]) -> list[str]:
    """Let the calls in `rows` change files again as they did; return a line for each file.

    A call is made again only where it would make of each file just what it made then.
    """
    calls = [(started, call) for started, call, _ in _done(rows) if started.changes]
    last = {(one.root, change.path): change for one, _ in calls for change in one.changes}
    if all(_stands(root, path, change.after) for (root, path), change in last.items()):
        return []  # the files were never put back: /edit, /retry and /clear leave them
    lines: list[str] = []
    for started, call in calls:
        context = ToolContext(Path(started.root), lambda _text: None, str)
        box = Box(load([call.name]))
        same = await box.changes(call, context) == started.changes
        done = same and not (await box.run(call, context)).failed
        said = "changed again" if done else "not changed again, it is not as the call found it"
        lines += [f"{change.path}: {said}" for change in started.changes]
    return list(dict.fromkeys(lines))


def _done(rows: Sequence[Row]) -> list[Done]:
    """Return the calls that were begun, each with its result if it has one.

    Ids are those of one answer: the next one may have the same.
    """
    done: list[Done] = []
    made: dict[str, ToolCall] = {}
    for row in rows:
        entry = row.entry
        if isinstance(entry, CallStarted) and entry.call_id in made:
            done.append((entry, made[entry.call_id], None))
        elif isinstance(entry, Message) and entry.role == "assistant":
            made = {call.id: readable(call) for call in entry.calls}
        elif isinstance(entry, Message) and entry.role == "tool":
            for part in entry.parts:
                if isinstance(part, ToolResult):
                    _ended(done, part)
    return done


def _ended(done: list[Done], result: ToolResult) -> None:
    """Give the newest call of a result's id that result."""
    for at in range(len(done) - 1, -1, -1):
        started, call, before = done[at]
        if call.id == result.call_id:
            done[at] = started, call, before or result
            return


def _stands(root: str, path: str, after: str) -> bool:
    try:
        return restore.digest(files.held(Path(root), path, restore.MOST)) == after
    except ToolError:
        return False

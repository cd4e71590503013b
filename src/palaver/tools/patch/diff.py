"""The unified diff of a plan; pure, and not escaped for a terminal."""

from __future__ import annotations

import difflib

from palaver.tools.patch.planning import Plan

_NO_NEWLINE = "\n\\ No newline at end of file"


def unified(plan: Plan) -> str:
    """Return what the plan changes, whole, as `diff -u` writes it; "" if nothing."""
    by_path = {change.path: change for change in plan.changes}
    moved = {change.source for change in plan.changes if change.source}
    parts: list[str] = []
    for change in sorted(plan.changes, key=lambda c: c.path):
        if change.path in moved:
            continue  # it is shown where it went
        if change.source is None:
            parts.append(difference(change.path, change.path, change.old, change.new))
        else:
            if change.old is not None:
                parts.append(difference(change.path, change.path, change.old, None))
            parts.append(f"rename from {change.source}\nrename to {change.path}\n")
            before = by_path[change.source].old
            parts.append(difference(change.source, change.path, before, change.new))
    return "".join(parts)


def difference(before: str, after: str, old: bytes | None, new: bytes | None) -> str:
    """Return what happens to one file, named `before` and `after`; None where there is none."""
    before = f"a/{before}" if old is not None else "/dev/null"
    after = f"b/{after}" if new is not None else "/dev/null"
    try:
        old_lines, new_lines = _lines(old), _lines(new)
    except UnicodeDecodeError:
        if old == new:
            return ""
        sizes = f"{len(old or b'')} -> {len(new or b'')} bytes"
        return f"Binary files {before} and {after} differ ({sizes})\n"
    lines = list(difflib.unified_diff(old_lines, new_lines, before, after, lineterm=""))
    if not lines and old != new:  # an empty file that is made or removed
        lines = [f"--- {before}", f"+++ {after}"]
    return "".join(f"{line}\n" for line in lines)


def _lines(data: bytes | None) -> list[str]:
    lines = (data or b"").decode().split("\n")
    if lines[-1]:
        lines[-1] += _NO_NEWLINE
    else:
        del lines[-1]
    return lines

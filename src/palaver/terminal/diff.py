"""A unified diff on a terminal: made safe, and in colour."""

from __future__ import annotations

from palaver.terminal.escape import visible

_COLORS = {"+": "32", "-": "31", "@": "36"}
_BOLD = "1"
_HEADS = ("+++ ", "--- ", "rename ")


def colored(diff: str) -> str:
    """Return `diff` escaped, with additions green and removals red."""
    return "".join(f"{_line(line)}\n" for line in diff.removesuffix("\n").split("\n"))


def style(line: str) -> str | None:
    """Return the SGR codes of a line of a diff, None for a plain one."""
    return _BOLD if line.startswith(_HEADS) else _COLORS.get(line[:1])


def _line(line: str) -> str:
    color = style(line)
    text = visible(line)
    return f"\x1b[{color}m{text}\x1b[0m" if color else text

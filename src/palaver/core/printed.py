"""What a program wrote to its terminal, as the text that a reader would have seen.

Control sequences go, what was written over goes, and so does what stood on an alternate screen
(an editor's, a pager's). Sources: ECMA-48 (sequences); xterm's control sequences (modes 47, 1047
and 1049 switch to the alternate screen).
"""

from __future__ import annotations

import re

_ALTERNATE = re.compile(r"\x1b\[\?(?:1049|1047|47)h.*?(?:\x1b\[\?(?:1049|1047|47)l|\Z)", re.DOTALL)
_SEQUENCES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # of the system: titles, links, the clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # strings to devices and applications
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_OTHERS = re.compile(r"[\x00-\x07\x0b-\x1f\x7f]")


def plain(written: str) -> str:
    """Return the lines that were seen, without blanks at their ends."""
    text = _SEQUENCES.sub("", _ALTERNATE.sub("", written)).replace("\r\n", "\n")
    return "\n".join(_seen(line) for line in text.split("\n")).strip("\n")


def _seen(line: str) -> str:
    """Return a line as carriage returns and backspaces leave it."""
    if "\r" in line or "\b" in line:
        cells: list[str] = []
        at = 0
        for char in line:
            if char == "\r":
                at = 0
            elif char == "\b":
                at = max(0, at - 1)
            else:
                cells[at : at + 1] = [char]
                at += 1
        line = "".join(cells)
    return _OTHERS.sub("", line).rstrip()

"""A conversation as Markdown that is nice to read and can do nothing.

Each message stands in a block quote, so that nothing in it can look like the next speaker or
swallow what follows. Outside code, HTML is shown instead of being run, and an image becomes a
link, so that opening the file fetches nothing. Control and bidi characters become escapes.
"""

from __future__ import annotations

import re

from palaver.core.log import Notice, Row
from palaver.core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult

SPEAKERS = {"system": "System", "user": "You", "assistant": "Assistant", "tool": "Tool"}
STOPS = {
    "length": "stopped at the token limit",
    "cancelled": "stopped by the user",
    "error": "cut off by an error",
}

# All of C0 and C1 but tab and newline, marks that turn or hide text, tag characters.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})")
_ACTIVE = re.compile(r"(\\*)(<(?=[A-Za-z/!?])|!(?=\[)|&(?=#?\w+;))")


def to_markdown(title: str, rows: list[Row]) -> str:
    """Return the rows of a path as a Markdown document."""
    blocks = [f"# {_heading(title)}"]
    for row in rows:
        entry = row.entry
        if isinstance(entry, Message):
            note = f" ({STOPS[entry.stop]})" if entry.stop in STOPS else ""
            blocks.append(f"## {SPEAKERS[entry.role]}{note}")
            blocks += [_part(part) for part in entry.parts]
        elif isinstance(entry, Notice) and entry.kind == "note":
            blocks.append("## Note")
            blocks.append(_quote(_inert(entry.text)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _part(part: Part) -> str:
    match part:
        case Text():
            return _quote(_inert(part.text))
        case Reasoning():
            return "*Reasoning:*\n\n" + _quote(_quote(_inert(part.text)))
        case ToolCall():
            return f"*Calls* {_code(part.name)}\n\n{_fenced(part.arguments)}"
        case ToolResult():
            failed = " *failed*" if part.failed else ""
            return f"*Result of* {_code(part.name)}{failed}\n\n{_fenced(part.whole or part.text)}"


def _shown(text: str) -> str:
    text = text.replace("\r\n", "\n")
    return _CONTROL.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip(" ") for line in text.strip("\n").split("\n"))


def _inert(text: str) -> str:
    """Return Markdown that a reader renders without running or fetching anything."""
    lines = _shown(text).split("\n")
    # A fence that begins behind anything (a list, a quote, spaces) may open where we think
    # that it closes. Where there is one, nothing of the text counts as code.
    sure = not any(_FENCE.search(line) and not _FENCE.match(line) for line in lines)
    fence = ""
    shown: list[str] = []
    for line in lines:
        found = _FENCE.match(line) if sure else None
        if fence:
            shown.append(line)
            if re.fullmatch(rf"{re.escape(fence[0])}{{{len(fence)},}}[ \t]*", line):
                fence = ""
        else:
            fence = found[0] if found else ""
            shown.append(line if fence else _ACTIVE.sub(_escape, line))
    if fence:
        shown.append(fence)
    return "\n".join(shown)


def _escape(found: re.Match[str]) -> str:
    slashes, character = found.groups()
    return found[0] if len(slashes) % 2 else f"{slashes}\\{character}"


def _fenced(text: str) -> str:
    text = _shown(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.strip(chr(10))}\n{fence}"


def _code(text: str) -> str:
    text = _shown(text).replace("\n", " ").replace("`", "'")
    return f"`{text}`" if text.strip() else "*(no name)*"


def _heading(text: str) -> str:
    line = " ".join(_shown(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#!&|~])", r"\\\1", line) or "Conversation"

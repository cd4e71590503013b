"""What .gitignore and .ignore files leave out (gitignore(5)), where ripgrep does not say it."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

NAMES = (".gitignore", ".ignore")  # the later counts more, as in ripgrep
_MOST = 1 << 20  # bytes of an ignore file that are read


class Pattern(NamedTuple):
    """A line of an ignore file: does `expression` fit a path, and what follows from that."""

    expression: re.Pattern[str]
    folders_only: bool
    keeps: bool


Rules = list[tuple[str, list[Pattern]]]


def rules_of(folder: int, base: str) -> tuple[str, list[Pattern]]:
    """Read the ignore files of an open folder; `base` is its path from the top, with a slash."""
    return base, [pattern for name in NAMES for pattern in patterns(_text(folder, name))]


def _text(folder: int, name: str) -> str:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as file:
        return file.read(_MOST).decode("utf-8", "replace")


def patterns(text: str) -> list[Pattern]:
    """Read an ignore file; what fits later counts more."""
    return [made for line in text.splitlines() if (made := _pattern(line))]


def ignored(rules: Rules, path: str, *, folder: bool) -> bool:
    """Say whether `path` is left out; `rules` are those of the folders above it, outermost first.

    Each comes with its folder's path, which ends in a slash or is empty.
    """
    for base, found in reversed(rules):
        below = path[len(base) :]
        for pattern in reversed(found):
            if (folder or not pattern.folders_only) and pattern.expression.fullmatch(below):
                return not pattern.keeps
    return False


def _pattern(line: str) -> Pattern | None:
    line = re.sub(r"(?<!\\) +$", "", line)
    if not line or line.startswith("#"):
        return None
    keeps = line.startswith("!")
    line = line.removeprefix("!")
    folders_only = line.endswith("/")
    line = line.rstrip("/")
    anchored = "/" in line
    line = line.lstrip("/")
    if not line:
        return None
    body = "".join(_PIECES.sub(_piece, line))
    try:
        return Pattern(
            re.compile(body if anchored else f"(?:.*/)?{body}", re.S), folders_only, keeps
        )
    except re.error:  # a broken class fits nothing, as in git
        return None


_PIECES = re.compile(r"\A\*\*/|/\*\*/|/\*\*\Z|\*+|\?|\[!?\]?[^\]]*\]|\\.|.", re.S)


def _piece(found: re.Match[str]) -> str:
    text = found[0]
    fixed = {"**/": "(?:.*/)?", "/**/": "/(?:.*/)?", "/**": "/.*", "?": "[^/]"}
    if text in fixed and (text != "/**" or found.end() == len(found.string)):
        return fixed[text]
    if text.strip("*") == "":
        return "[^/]*"
    if text.startswith("[") and len(text) > 2:
        inner = text[1:-1].replace("\\", "\\\\")
        return f"[^/{inner[1:]}]" if inner[0] in "!^" else f"(?!/)[{inner}]"
    return re.escape(text[1:] if text.startswith("\\") and len(text) > 1 else text)

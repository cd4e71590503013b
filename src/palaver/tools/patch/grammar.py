"""Reads the text of a patch into sections; touches no file.

    *** Begin Patch
    *** Add File: PATH          then lines that begin with +
    *** Delete File: PATH
    *** Update File: PATH       then, if it moves, *** Move to: PATH, and hunks:
    @@ LINE                     a line above the place (several narrow it down), or a bare @@
     kept
    -removed
    +added
    *** End of File             where the hunk stands at the file's end
    *** End Patch

As codex reads it: white space around markers, a first hunk without @@, an empty line for an empty
line that is kept. Source: codex-rs/apply-patch (https://github.com/openai/codex).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from palaver.tools.patch.errors import PatchError

BEGIN, END = "*** Begin Patch", "*** End Patch"
_ADD, _DELETE, _UPDATE = "*** Add File:", "*** Delete File:", "*** Update File:"
_MOVE, _END_OF_FILE = "*** Move to:", "*** End of File"
_MARKERS = (BEGIN, END, _ADD, _DELETE, _UPDATE, _MOVE, _END_OF_FILE)
_HEADERS = f"`{_ADD} PATH`, `{_DELETE} PATH` or `{_UPDATE} PATH`"


class Line(Struct, frozen=True):
    """A line of a hunk: kept, removed or added."""

    kind: Literal[" ", "-", "+"]
    text: str


class Hunk(Struct, frozen=True):
    """A change of neighbouring lines.

    `anchors` are the texts of its @@ lines, "" for a bare one; `at` is its line in the patch;
    `crlf`: its first added line ended in a carriage return.
    """

    anchors: tuple[str, ...]
    lines: tuple[Line, ...]
    at_end: bool
    at: int
    crlf: bool = False


class Add(Struct, frozen=True):
    """Write a whole file, also over one that is there."""

    path: str
    content: str
    at: int


class Delete(Struct, frozen=True):
    """Remove a file."""

    path: str
    at: int


class Update(Struct, frozen=True):
    """Change a file, move it, or both."""

    path: str
    move_to: str | None
    hunks: tuple[Hunk, ...]
    at: int


Section = Add | Delete | Update


def parse(text: str, *, padded: bool = False) -> list[Section]:
    """Return the sections of a patch, in order. Raises PatchError, which names the line.

    An indented marker among a hunk's lines can be a kept line that looks like one, or a marker
    that was padded: `padded` takes it for the latter.
    """
    lines = text.split("\n")
    marks = [line.strip() for line in lines]
    if marks[0] != BEGIN:
        said = f", not `{marks[0][:80]}`" if marks[0] else ""
        raise PatchError(f"the first line of a patch must be `{BEGIN}`{said}")
    if marks[-1] != END:
        why = "text follows it" if END in marks else "the patch was cut off"
        raise PatchError(f"the last line of a patch must be `{END}`: {why}")
    sections = _Parser(lines[1:-1], padded).sections()
    if not sections:
        raise PatchError(f"the patch changes nothing: it has no {_HEADERS}")
    return sections


def has_padded_markers(text: str) -> bool:
    """Tell whether a line is a marker behind white space, so that there are two readings."""
    lines = text.split("\n")[1:-1]
    return any(line.startswith(" ") and _is_marker(line.strip()) for line in lines)


def _is_marker(line: str) -> bool:
    return line.startswith(_MARKERS) or line.startswith("@@")


class _Parser:
    def __init__(self, lines: list[str], padded: bool) -> None:
        self._lines = lines
        self._padded = padded
        self._next = 0

    def sections(self) -> list[Section]:
        found: list[Section] = []
        while True:
            self._skip_blank()
            if self._next == len(self._lines):
                return found
            found.append(self._section())

    def _section(self) -> Section:
        at, header = self._at(), self._take().strip()
        if header.startswith(_ADD):
            path = self._path(header, _ADD, at)
            return Add(path, self._content(), at)
        if header.startswith(_DELETE):
            return Delete(self._path(header, _DELETE, at), at)
        if header.startswith(_UPDATE):
            return self._update(self._path(header, _UPDATE, at), at)
        raise PatchError(f"patch line {at}: `{header[:80]}` begins no section; write {_HEADERS}")

    def _content(self) -> str:
        """Return the text of an added file. Its first line tells how all of them end."""
        lines: list[str] = []
        while self._peek().startswith("+"):
            lines.append(self._take()[1:])
        at = self._at()
        self._skip_blank()
        if self._next < len(self._lines) and not _is_marker(self._peek().strip()):
            raise PatchError(
                f"patch line {at}: every line of an added file must begin with +,"
                f" also an empty one; this one does not: `{self._lines[at - 2][:80]}`"
            )
        end = "\r\n" if lines and lines[0].endswith("\r") else "\n"
        return "".join(line.removesuffix("\r") + end for line in lines)

    def _update(self, path: str, at: int) -> Update:
        move_to = None
        if self._peek().strip().startswith(_MOVE):
            move_at = self._at()
            move_to = self._path(self._take().strip(), _MOVE, move_at)
        hunks: list[Hunk] = []
        while True:
            self._skip_blank()
            if self._next == len(self._lines) or self._kind() == "marker":
                break
            hunks.append(self._hunk(first=not hunks))
        if not hunks and move_to is None:
            raise PatchError(f"patch line {at}: the update of {path} has no hunk")
        return Update(path, move_to, tuple(hunks), at)

    def _hunk(self, *, first: bool) -> Hunk:
        at = self._at()
        anchors: list[str] = []
        while self._next < len(self._lines) and self._kind() == "anchor":
            anchors.append(self._take().strip()[2:].removeprefix(" "))
        if not anchors and not first:
            raise PatchError(f"patch line {at}: a hunk must begin with @@: `{self._peek()[:80]}`")
        lines: list[Line] = []
        decoration = 0  # empty lines at the end: kept ones, or room before the next marker
        crlf: bool | None = None
        while self._next < len(self._lines) and self._kind() == "line":
            raw = self._take()
            if crlf is None and raw[:1] == "+":
                crlf = raw.endswith("\r")
            raw = raw.removesuffix("\r")
            decoration = decoration + 1 if not raw else 0
            lines += _lines(raw)
        if all(line.kind == "+" for line in lines[: len(lines) - decoration]):
            del lines[len(lines) - decoration :]
        if not lines:
            raise PatchError(f"patch line {at}: the hunk has no lines{self._culprit()}")
        at_end = self._peek().strip() == _END_OF_FILE and self._kind() == "marker"
        if at_end:
            self._take()
        elif self._next < len(self._lines) and self._kind() == "other":
            raise PatchError(f"patch line {self._at()}: the hunk goes wrong here{self._culprit()}")
        return Hunk(tuple(anchors), tuple(lines), at_end, at, bool(crlf))

    def _culprit(self) -> str:
        if self._next == len(self._lines) or self._kind() == "marker":
            return ""
        return (
            "; every line of a hunk must begin with a space (kept), - (removed) or + (added):"
            f" `{self._peek()[:80]}`"
        )

    def _kind(self) -> Literal["line", "anchor", "marker", "other"]:
        """Tell what the next line is to a hunk."""
        line = self._peek()
        stripped = line.strip()
        indented = line.startswith(" ") and not self._padded
        if not indented and line[:1] not in ("+", "-") and _is_marker(stripped):
            return "anchor" if stripped.startswith("@@") else "marker"
        if line.startswith("*"):
            return "marker"
        return "line" if line.removesuffix("\r")[:1] in ("", " ", "+", "-") else "other"

    def _path(self, header: str, marker: str, at: int) -> str:
        path = header[len(marker) :].strip()
        if not path:
            raise PatchError(f"patch line {at}: `{marker}` names no file")
        return path

    def _skip_blank(self) -> None:
        while self._next < len(self._lines) and not self._peek().strip():
            self._next += 1

    def _peek(self) -> str:
        return self._lines[self._next] if self._next < len(self._lines) else ""

    def _take(self) -> str:
        line = self._lines[self._next]
        self._next += 1
        return line

    def _at(self) -> int:
        """Return the number of the next line in the patch; the first is `*** Begin Patch`."""
        return self._next + 2


def _lines(raw: str) -> list[Line]:
    """Read a line of a hunk. A carriage return within ends a line, as it does in files."""
    match raw[:1]:
        case "-":
            return [Line("-", text) for text in raw[1:].split("\r")]
        case "+":
            return [Line("+", text) for text in raw[1:].split("\r")]
        case _:
            return [Line(" ", text) for text in raw[1:].split("\r")]

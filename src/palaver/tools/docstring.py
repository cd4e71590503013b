"""What a docstring says of a function and of its parameters, however it is laid out."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PARAMETERS = frozenset(
    ("args", "arguments", "parameters", "params", "other parameters", "keyword args",
     "keyword arguments"),
)  # fmt: skip
_OTHERS = frozenset(
    ("returns", "return", "yields", "raises", "warns", "example", "examples", "note", "notes",
     "see also", "references", "attributes", "todo", "warning", "warnings"),
)  # fmt: skip
_RULE = re.compile(r"\s*-{3,}\s*")
_FIELD = re.compile(r"[:@](\w+)\s*([^:]*):\s*(.*)")
_FIELDS_OF_PARAMETERS = ("param", "parameter", "arg", "argument", "key", "keyword")
_ENTRY = re.compile(r"(\s*)\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?:\s+(.*)|)")
_NUMPY_ENTRY = re.compile(r"(\s*)(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")


def described_by(doc: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Take a docstring apart: what it says of the whole, and of each parameter in `names`.

    Knows sections as Google and NumPy write them, the fields of reStructuredText and Epytext,
    and plain lines `name: text` below the first one.
    """
    reader = _Reader(names)
    lines = doc.splitlines()
    for line, below in zip(lines, (*lines[1:], ""), strict=False):
        reader.take(line, underlined=bool(_RULE.fullmatch(below)))
    described = {name: " ".join(" ".join(said).split()) for name, said in reader.said.items()}
    return " ".join(" ".join(reader.text).split()), {k: v for k, v in described.items() if v}


class _Reader:
    """Reads a docstring line by line; `part` is what the last heading was about."""

    def __init__(self, names: Sequence[str]) -> None:
        self.text: list[str] = []
        self.said: dict[str, list[str]] = {}
        self._names = names
        self._part = "text"
        self._about: list[str] = []  # the parameters that lines further in are about
        self._margin: int | None = None  # how far in entries stand

    def take(self, line: str, *, underlined: bool) -> None:
        """Take one line; `underlined` by a line of dashes, as NumPy does with headings."""
        if _RULE.fullmatch(line) or not line.strip():
            return
        bare = line.strip().rstrip(":").lower()
        if underlined or (line.rstrip().endswith(":") and bare in _PARAMETERS | _OTHERS):
            known = bare in _PARAMETERS
            self._begin(("numpy" if underlined else "google") if known else "other")
        elif not self._field(line) and not self._entry(line):
            self._more(line)

    def _begin(self, part: str) -> None:
        self._part, self._about, self._margin = part, [], None

    def _field(self, line: str) -> bool:
        """Take `:param x: text`; any other field ends what was said of x."""
        field = _FIELD.fullmatch(line)
        if not field:
            return False
        self._begin("fields")
        if field[1] in _FIELDS_OF_PARAMETERS and field[2].split():
            self._describe([field[2].split()[-1].lstrip("*\\")], field[3])
        return True

    def _entry(self, line: str) -> bool:
        """Take the line that begins the description of a parameter."""
        if self._part not in ("text", "lines", "google", "numpy"):
            return False
        entry = (_NUMPY_ENTRY if self._part == "numpy" else _ENTRY).fullmatch(line)
        if not entry or (self._margin is not None and len(entry[1]) > self._margin):
            return False
        if self._part in ("text", "lines"):  # there is no heading: only what is surely one
            if entry[1] or entry[2] not in self._names or not self.text:
                return False
            self._part = "lines"
        self._margin = len(entry[1])
        if self._part == "numpy":
            self._describe([name.strip(" *") for name in entry[2].split(",")], "")
        else:
            self._describe([entry[2]], entry[3] or "")
        return True

    def _describe(self, names: list[str], text: str) -> None:
        self._about = [name for name in names if name in self._names]
        for name in self._about:
            self.said[name] = [text]

    def _more(self, line: str) -> None:
        """Take a line that begins nothing: it belongs to what is above it, or to the text."""
        inside = line[0].isspace()
        if self._part == "text" or (not inside and self._part in ("google", "lines", "fields")):
            self._begin("text")
            self.text.append(line)
        elif inside:
            for name in self._about:
                self.said[name].append(line)

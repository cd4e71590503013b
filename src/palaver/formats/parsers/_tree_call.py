"""Reads one call whose arguments are nested tags: `<a>b</a><c><item>1</item></c>`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import Markers
from palaver.formats.parsers._call import CallReader, Emit
from palaver.formats.parsers._json_call import CUT_OFF
from palaver.formats.parsers._typed import STRING, child, escaped, schema_kinds, typed

_FAR = 512  # characters in which a tag must be complete
_TAG = re.compile(r"<(/?)([^<>]*)>")
_HEAD = re.compile(r"\s*[\"']?(?P<name>[^\"'<>]*)[\"']?\s*>")
_DEEPEST = 100


class _Frame:
    """A tag that is open: what it may hold, and what came."""

    def __init__(self, tag: str, schema: Any, root: dict[str, Any]) -> None:
        self.tag = tag
        self.schema = schema
        self.kinds = schema_kinds(schema, root)
        self.close = ""  # the bracket that ends it, once something stands in it
        self.text: list[str] = []


class TreeCall(CallReader):
    """One call; each tag stands behind `mark`. Texts come on as they are written."""

    def __init__(self, index: int, emit: Emit, mark: str, tools: Mapping[str, ToolSpec]) -> None:
        """`tools` are those the model was told of, by name."""
        super().__init__(index, emit)
        self._mark = mark
        self._marks = Markers(mark)
        self._tools = tools
        self._root: dict[str, Any] = {}
        self._stack: list[_Frame] = []
        self._stray: list[str] = []
        self._step = self._heading

    def cut_off(self, rest: str) -> None:
        """Close at the end of the reply; `rest` is what was not taken."""
        if not self._write.named:
            if rest.strip() or self._stray:
                self._write.close(CUT_OFF, "".join(self._stray) + rest)
            return
        self._add(rest)
        self._finish(CUT_OFF)

    def _heading(self, text: str, at: int, last: bool) -> int:
        found = _HEAD.match(text, at, at + _FAR)
        if found:
            name = found["name"].strip()
            tool = self._tools.get(name)
            self._root = tool.parameters if tool else {}
            self._write.name(name)
            self._stack = [_Frame("", self._root if tool else None, self._root)]
            self._step = self._text
            return found.end()
        if len(text) - at < _FAR and not last and "<" not in text[at:]:
            return at
        self._step = self._raw
        return at

    def _raw(self, text: str, at: int, last: bool) -> int:
        """No call after all: everything up to the next tag is kept as it is."""
        end, behind = self._marks.cut(text, at)
        self._stray.append(text[at:end])
        if behind > end:
            self._write.close(raw="".join(self._stray))
            self.done = True
        return end

    def _text(self, text: str, at: int, last: bool) -> int:
        end, behind = self._marks.cut(text, at)
        self._add(text[at:end])
        if behind > end:
            self._step = self._tag
        return behind

    def _tag(self, text: str, at: int, last: bool) -> int:
        """Behind the mark: a tag, or else the mark is text."""
        found = _TAG.match(text, at, at + _FAR)
        self._step = self._text
        if not found:
            if text[at] == "<" and len(text) - at < _FAR and not last and "<" not in text[at + 1 :]:
                self._step = self._tag
                return at
            self._add(self._mark)
            return at
        tag = found[2]
        if not found[1] and len(self._stack) < _DEEPEST:
            self._open(tag)
        elif found[1] and tag in ("invoke", "tool_call"):
            self._finish(None if tag == "invoke" else CUT_OFF)
            self.done = True
        elif found[1] and any(frame.tag == tag for frame in self._stack[1:]):
            while self._shut() != tag:
                pass
        else:
            self._stray.append(self._mark + found.group())
        return found.end()

    def _open(self, tag: str) -> None:
        top = self._stack[-1]
        if top.kinds == STRING and len(self._stack) > 1:  # its text has begun already
            self._add(self._mark + f"<{tag}>")
            return
        self._stray.extend(top.text)
        top.text = []
        if not top.close:
            listed = tag == "item" and "array" in top.kinds and len(self._stack) > 1
            top.close = "]" if listed else "}"
            self._write.argue("[" if listed else "{")
        else:
            self._write.argue(", ")
        if top.close == "}":
            self._write.argue(json.dumps(tag, ensure_ascii=False) + ": ")
        key = None if top.close == "]" else tag
        frame = _Frame(tag, child(top.schema, key, self._root), self._root)
        self._stack.append(frame)
        if frame.kinds == STRING:
            self._write.argue('"')

    def _add(self, text: str) -> None:
        top = self._stack[-1]
        if top.kinds == STRING and len(self._stack) > 1:
            self._write.argue(escaped(text))
        elif top.close or len(self._stack) == 1:
            self._stray.append(text)
        else:
            top.text.append(text)

    def _shut(self) -> str:
        """End the innermost tag; return its name."""
        frame = self._stack.pop()
        if frame.kinds == STRING:
            self._write.argue('"')
        elif frame.close:
            self._write.argue(frame.close)
        else:
            raw = "".join(frame.text)
            empty = not raw.strip() and "string" not in frame.kinds
            nothing = "[]" if "array" in frame.kinds else "{}" if "object" in frame.kinds else ""
            self._write.argue(nothing if empty and nothing else typed(raw, frame.kinds))
        return frame.tag

    def _finish(self, error: str | None) -> None:
        while len(self._stack) > 1:
            error = error or f"the argument {self._stack[-1].tag} has no end"
            self._shut()
        self._write.argue(self._stack[0].close or "{}")
        stray = " ".join("".join(self._stray).split())
        if stray:
            error = f"{error or 'there is text between the arguments'}: {stray}"
        self._write.close(error)

"""Reads a text file of the session's folder, or lines of it."""

from __future__ import annotations

import os
from typing import Any

from palaver.core.tool import ToolContext, ToolError, ToolSpec
from palaver.tools import files

MOST = 1 << 20  # bytes that are read at once
_RESULT = "result:"


class ReadFile:
    """The tool `read_file`."""

    spec = ToolSpec(
        "read_file",
        "Read a text file, or its lines start to end (counted from 1).",
        {
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "start": {"type": "integer", "minimum": 1},
                "end": {"type": "integer", "minimum": 1},
            },
            "required": ["path"],
        },
        reads=True,
    )

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the text. A path "result:N" means an earlier result that was cut."""
        path = str(arguments["path"])
        start, end = arguments.get("start", 1), arguments.get("end")
        if end is not None and end < start:
            raise ToolError(f"error: end {end} is before start {start}")
        if path.startswith(_RESULT):
            return _lines(_kept(path, ctx), start, end)
        if "start" in arguments or end is not None:
            return _range(ctx, path, start, end)
        return _text(path, files.read(ctx.root, path, MOST)) or "(empty)"

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the path that is read."""
        path = str(arguments["path"])
        if not path.startswith(_RESULT):
            with files.open_file(ctx.root, path):
                pass
        return f"read {path}"


def _kept(path: str, ctx: ToolContext) -> str:
    try:
        return ctx.whole(path.removeprefix(_RESULT))
    except KeyError:
        raise ToolError(f"error: no result was cut that is called {path}") from None


def _lines(text: str, start: int, end: int | None) -> str:
    lines = text.split("\n")
    if start > len(lines):
        raise ToolError(f"error: it has {len(lines)} lines")
    return "\n".join(lines[start - 1 : end])


def _range(ctx: ToolContext, path: str, start: int, end: int | None) -> str:
    """Read some lines of a file of any size."""
    kept: list[bytes] = []
    size = number = 0
    with files.open_file(ctx.root, path) as fd, os.fdopen(fd, "rb", closefd=False) as file:
        while line := file.readline(MOST):
            number += 1
            if end is not None and number > end:
                break
            if number >= start:
                kept.append(line)
                size += len(line)
            if size > MOST:
                raise ToolError(f"error: these lines have more than {MOST} bytes: ask for fewer")
    if not kept:
        raise ToolError(f"error: {path} has {number} lines")
    return _text(path, b"".join(kept))


def _text(path: str, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ToolError(f"error: {os.path.basename(path)} is no UTF-8 text; it is binary")  # noqa: PTH119
    return text


TOOL = ReadFile()

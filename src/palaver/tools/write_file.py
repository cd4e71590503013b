"""Writes a file of the session's folder, whole."""

from __future__ import annotations

from typing import Any

from palaver.core.tool import Changed, ToolContext, ToolError, ToolSpec
from palaver.tools import files
from palaver.tools.patch.diff import difference

_MOST = 1 << 20  # bytes of a file that is replaced, for the diff


class WriteFile:
    """The tool `write_file`."""

    spec = ToolSpec(
        "write_file",
        "Write a text file, in the place of what it held; folders on the way are made.",
        {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path", "content"],
        },
    )

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Write it; return how many bytes."""
        path, data = str(arguments["path"]), _data(arguments)
        files.write(ctx.root, path, data)
        return f"wrote {len(data)} bytes to {path}"

    async def changes(self, arguments: dict[str, Any], ctx: ToolContext) -> list[Changed]:
        """Return what the file holds before and after."""
        path = str(arguments["path"])
        held = files.held(ctx.root, path, _MOST)
        return [("/".join(files.parts_of(ctx.root, path)), held, _data(arguments))]

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the difference to what the file holds."""
        path, data = str(arguments["path"]), _data(arguments)
        held = files.held(ctx.root, path, _MOST)
        if held is not None and not _is_text(held):
            note = f"{path} holds no text, or more than {_MOST} bytes; it is replaced by:\n"
            return note + difference(path, path, None, data)
        return difference(path, path, held, data) or f"{path} holds just this already\n"


def _data(arguments: dict[str, Any]) -> bytes:
    try:
        return str(arguments["content"]).encode()
    except UnicodeEncodeError:
        raise ToolError("error: the content holds half of a surrogate pair") from None


def _is_text(data: bytes) -> bool:
    try:
        return len(data) <= _MOST and "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


TOOL = WriteFile()

"""Lists a folder of the session's folder."""

from __future__ import annotations

import os
from typing import Any

from palaver.core.tool import ToolContext, ToolSpec
from palaver.tools import files


class ListFiles:
    """The tool `list_files`."""

    spec = ToolSpec(
        "list_files",
        "List a folder (default: the current one); names of folders end in a slash.",
        {"type": "object", "properties": {"path": {"type": "string"}}, "required": []},
        reads=True,
    )

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return a name a line, sorted."""
        with files.open_folder(ctx.root, arguments.get("path", ".")) as fd, os.scandir(fd) as found:
            names = sorted(
                entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
                for entry in found
                if not entry.name.startswith(files.SCRATCH)
            )
        return "\n".join(names).encode("utf-8", "replace").decode() or "(empty)"

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the folder that is listed."""
        with files.open_folder(ctx.root, path := arguments.get("path", ".")):
            return f"list {path}"


TOOL = ListFiles()

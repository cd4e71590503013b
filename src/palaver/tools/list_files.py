"""Lists a folder of the session's folder."""

from __future__ import annotations

import os
from typing import Any

from palaver.core.tool import ToolContext, ToolSpec
from palaver.tools import files, ignore


class ListFiles:
    """The tool `list_files`."""

    spec = ToolSpec(
        "list_files",
        "List a folder (default: the current one); names of folders end in a slash.",
        {"type": "object", "properties": {"path": {"type": "string"}}, "required": []},
        reads=True,
    )

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return a name a line, sorted; what ignore files leave out is counted."""
        path = arguments.get("path", ".")
        parts = files.parts_of(ctx.root, path)
        rules = []
        for depth in range(len(parts) + 1):
            with files.open_folder(ctx.root, "/".join(parts[:depth]) or ".") as fd:
                rules.append(ignore.rules_of(fd, "".join(f"{part}/" for part in parts[:depth])))
        base, names, ignored = rules[-1][0], [], 0
        with files.open_folder(ctx.root, path) as fd, os.scandir(fd) as found:
            for entry in found:
                folder = entry.is_dir(follow_symlinks=False)
                if entry.name.startswith(files.SCRATCH):
                    continue
                if ignore.ignored(rules, base + entry.name, folder=folder):
                    ignored += 1
                else:
                    names.append(entry.name + "/" * folder)
        lines = sorted(names) or ["(empty)"]
        if ignored:
            lines.append(f"({ignored} more that ignore files leave out)")
        return "\n".join(lines).encode("utf-8", "replace").decode()

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the folder that is listed."""
        with files.open_folder(ctx.root, path := arguments.get("path", ".")):
            return f"list {path}"


TOOL = ListFiles()

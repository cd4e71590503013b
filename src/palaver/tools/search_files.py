"""Searches the text of the session's files, with ripgrep where there is one."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from palaver.core.tool import ToolContext, ToolError, ToolSpec
from palaver.tools import files
from palaver.tools.secret import secret

SECONDS = 20.0
_MOST = 1 << 20  # bytes of matches that are taken
_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"
_RUN = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from palaver.tools._search import main; main(*sys.argv[2:])"
)
_RIPGREP = (
    "--no-config", "--no-require-git", "--no-ignore-parent", "--no-ignore-global",
    "--no-ignore-exclude", "--line-number", "--no-heading", "--with-filename", "--null",
    "--color=never", "--no-messages", "--sort=path", "--max-columns=500", "--max-columns-preview",
)  # fmt: skip


class SearchFiles:
    """The tool `search_files`."""

    spec = ToolSpec(
        "search_files",
        "Search files for a regular expression: path:line:text of each match. Hidden and ignored"
        " files are left out, and those that hold keys or passwords.",
        {
            "type": "object",
            "properties": {"pattern": {"type": "string"}, "path": {"type": "string"}},
            "required": ["pattern"],
        },
        reads=True,
    )

    def __init__(self, seconds: float = SECONDS) -> None:
        """`seconds` is how long a search may take."""
        self._seconds = seconds

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the matches, those of the folder or the file at `path`."""
        pattern, path = str(arguments["pattern"]), str(arguments.get("path", "."))
        if not pattern or "\0" in pattern:
            raise ToolError("error: the pattern is empty, or holds a NUL")
        names = files.parts_of(ctx.root, path)
        try:
            with files.open_folder(ctx.root, path) as folder:
                found = await self._run(_program(pattern), folder=folder)
                return _from_root(found, names) or "no matches"
        except ToolError as error:
            if "is no folder" not in str(error):
                raise
        with files.open_file(ctx.root, path) as file:
            found = await self._run(_ours(pattern, "/".join(names)), file=file)
            return found.replace("\0", ":") or "no matches"

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return what is searched for, and where."""
        path = str(arguments.get("path", "."))
        files.parts_of(ctx.root, path)
        return f"search {path} for {arguments['pattern']}"

    async def _run(
        self, argv: list[str], *, folder: int | None = None, file: int | None = None
    ) -> str:
        # The open folder itself, so that nothing can be put in its place.
        cwd = None if folder is None else f"/proc/self/fd/{folder}"
        if folder is not None and not sys.platform.startswith("linux"):
            cwd = os.readlink(f"/dev/fd/{folder}")  # noqa: PTH115
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL if file is None else file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=cwd,
            env={"PATH": _PATH},
        )
        try:
            async with asyncio.timeout(self._seconds):
                return await _output(process)
        except TimeoutError:
            raise ToolError(f"error: timed out after {self._seconds:g} seconds") from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _program(pattern: str) -> list[str]:
    # In the system's folders alone: the user's PATH may name one that the model can write to.
    ripgrep = shutil.which("rg", path=_PATH)
    return [ripgrep, *_RIPGREP, "-e", pattern, "."] if ripgrep else _ours(pattern, "folder")


def _ours(pattern: str, what: str) -> list[str]:
    return [sys.executable, "-I", "-c", _RUN, str(Path(__file__).parents[2]), pattern, what]


async def _output(process: asyncio.subprocess.Process) -> str:
    """Read what it writes, up to a cap; what is broken in a line is replaced."""
    data = b""
    while process.stdout and len(data) < _MOST and (more := await process.stdout.read(1 << 16)):
        data += more
    text = data[:_MOST].decode("utf-8", "replace")
    return text if len(data) < _MOST else text[: text.rfind("\n") + 1] + "[more was found]\n"


def _from_root(found: str, names: tuple[str, ...]) -> str:
    """Let the paths, which are below a folder, begin at the root; leave secrets out.

    A path ends at a NUL, if there is one in the line.
    """
    prefix = "".join(f"{name}/" for name in names)
    lines: list[str] = []
    for line in found.removesuffix("\n").split("\n") if found else []:
        path, ends, text = line.removeprefix("./").partition("\0")
        if not (ends and secret(path)):
            lines.append(f"{prefix}{path}:{text}" if ends else path)
    return "\n".join(lines)


TOOL = SearchFiles()

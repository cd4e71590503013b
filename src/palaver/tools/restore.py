"""Puts files back as they were before a call changed them, where nobody changed them since."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from palaver.core.log import FileChange
from palaver.core.tool import ToolError
from palaver.tools import files

MOST = 1 << 20  # bytes of a file that are kept


def digest(data: bytes | None) -> str:
    """Name a file's content; "" where there is no file."""
    return "" if data is None else hashlib.blake2b(data, digest_size=16).hexdigest()


def change(root: Path, path: str, old: bytes | None, new: bytes | None) -> FileChange:
    """Note what a file holds before a call that makes `new` of it."""
    if old is not None and len(old) > MOST:
        return FileChange(path, None, digest(new), kept=False)
    mode = 0
    if old is not None:
        with files.open_file(root, path) as fd:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
    return FileChange(path, old, digest(new), mode)


def restore(root: Path, changes: Sequence[FileChange]) -> list[str]:
    """Put the files of one call back; return a line for each that was not as before."""
    lines = (_one(root, made) for made in reversed(changes))
    return [line for line in lines if line]


def _one(root: Path, made: FileChange) -> str:
    path = made.path
    if not made.kept:
        return f"{path}: not restored, it was larger than is kept"
    try:
        held = files.held(root, path, MOST)
        if held == made.before:
            return ""
        if digest(held) != made.after:
            return f"{path}: not restored, it was changed since"
        if made.before is None:
            files.remove(root, path)
            return f"{path}: removed"
        files.write(root, path, made.before, mode=made.mode)
    except ToolError as error:
        return f"{path}: not restored, {str(error).removeprefix('error: ')}"
    return f"{path}: restored"

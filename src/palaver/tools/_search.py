"""Searches files for a pattern, as a process of its own: a pattern can take for ever.

Run by `search_files` where there is no ripgrep, with the folder as its working directory, or one
file as its standard input. Arguments: the pattern, "folder" or the file's name.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO

from palaver.tools import ignore
from palaver.tools.secret import secret

LONGEST = 500  # characters of a line that are shown
_LINE = 1 << 20  # bytes of a line that are looked at
_PROBE = 1 << 13  # bytes in which a NUL makes a file a binary one


def main(pattern: str, what: str) -> None:
    """Write a line for each match: the path, a NUL, line number, a colon and the text."""
    try:
        wanted = re.compile(pattern)
    except (re.error, RecursionError):
        wanted = re.compile(re.escape(pattern))
    if what != "folder":
        _file(sys.stdin.buffer, what, wanted)
        return
    top = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for folder, path in _files(top, "", []):
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(path.rpartition("/")[2], flags, dir_fd=folder)
        except OSError:
            continue
        with os.fdopen(fd, "rb") as file:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                _file(file, path, wanted)


def _files(folder: int, base: str, rules: ignore.Rules) -> Iterator[tuple[int, str]]:
    """Yield the open folder and the path of each file that is to be searched, sorted."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    rules = [*rules, ignore.rules_of(folder, base)]
    for entry in entries:
        path, is_folder = base + entry.name, entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        # Not even read: how long a pattern takes would tell what stands in it.
        if ignore.ignored(rules, path, folder=is_folder) or secret(entry.name):
            continue
        if not is_folder:
            yield folder, path
            continue
        try:
            below = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError:
            continue
        try:
            yield from _files(below, f"{path}/", rules)
        finally:
            os.close(below)


def _file(file: BinaryIO, path: str, wanted: re.Pattern[str]) -> None:
    number, begun = 0, True
    while line := file.readline(_LINE):
        if number == 0 and b"\0" in line[:_PROBE]:
            return
        number += begun  # a line longer than is read at once counts once
        begun = line.endswith(b"\n")
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if wanted.search(text):
            shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
            sys.stdout.buffer.write(f"{path}\0{number}:{shown}\n".encode("utf-8", "replace"))

"""What a program changed in the folder: names, sizes and times, before and after it ran.

No content is read and no link followed. Looking is bounded: folders are looked into breadth
first, and those that are not reached are not spoken of.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from palaver.tools.files import SCRATCH

_MOST = 2000  # files and folders that are looked at: about 20 ms
_NAMED = 5  # that are named

_Stamp = tuple[int, int, int, int]


class Seen(NamedTuple):
    """The folders looked into, what stands in each (None: a folder), and if that is all."""

    folders: dict[str, dict[str, _Stamp | None]]
    whole: bool


def look(root: Path, most: int = _MOST) -> Seen:
    """Look at what stands below `root`; a folder that can't be read is left out."""
    folders: dict[str, dict[str, _Stamp | None]] = {}
    next_, count = [""], 0
    for folder in next_:
        found: dict[str, _Stamp | None] = {}
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    count += 1
                    if count > most:
                        return Seen(folders, whole=False)
                    if not entry.name.startswith(SCRATCH):
                        found[entry.name] = _stamp(entry)
        except OSError:
            continue
        folders[folder] = found
        below = (name for name, stamp in found.items() if stamp is None and name != ".git")
        next_ += [f"{folder}{name}/" for name in below]
    return Seen(folders, whole=True)


def _stamp(entry: os.DirEntry[str]) -> _Stamp | None:
    if entry.is_dir(follow_symlinks=False):
        return None
    found = entry.stat(follow_symlinks=False)
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


def difference(before: Seen, after: Seen) -> str:
    """Name what is new, gone or different; empty where nothing is."""
    paths = sorted(_paths(before, after))
    text = ", ".join(paths[:_NAMED])
    if len(paths) > _NAMED:
        text += f" and {len(paths) - _NAMED} more"
    if before.whole and after.whole:
        return text
    return f"{text or 'nothing'} as far as was looked: the folder holds more than {_MOST} files"


def _paths(before: Seen, after: Seen) -> set[str]:
    changed: set[str] = set()
    for folder in before.folders.keys() | after.folders.keys():
        old, new = before.folders.get(folder), after.folders.get(folder)
        if old is None or new is None:  # the folder is new, gone, or was not reached
            continue
        for name in old.keys() | new.keys():
            missing = name not in old or name not in new
            if missing or old[name] != new[name]:
                is_folder = (new if name in new else old)[name] is None
                changed.add(f"{folder}{name}/" if is_folder else f"{folder}{name}")
    return changed

"""Works out what a patch would do to a folder; changes nothing in it.

Sections apply in order, each to what the ones before it made: a file may stand in several.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from msgspec import Struct

from palaver.tools.patch import folder
from palaver.tools.patch.editing import edit
from palaver.tools.patch.errors import PatchError
from palaver.tools.patch.folder import Found, Look, Stamp
from palaver.tools.patch.grammar import Add, Delete, Section, Update
from palaver.tools.patch.reading import readings
from palaver.tools.patch.restoring import recover

_FIX = "No file was changed. Correct the patch and give it whole again."


class Change(Struct, frozen=True):
    """What becomes of one file. `path` is beneath the root, its parts joined by /.

    `old` and `new` are its whole contents, None where there is no file. `stamp` and `old_look`
    are those of the old file, `look` what the new one gets (None: what a new file gets). `source`
    is the path of the file that was moved here, if one was.
    """

    path: str
    old: bytes | None
    new: bytes | None
    stamp: Stamp | None
    old_look: Look | None
    look: Look | None
    source: str | None = None


class Plan(Struct, frozen=True):
    """A patch that applies: all changes, and what to say of them.

    `said` has a line a section, `notes` one for each hunk that fitted only loosely, `restored`
    what was put back first because an earlier patch had been cut off.
    """

    root: Path
    changes: tuple[Change, ...]
    said: tuple[str, ...]
    notes: tuple[str, ...]
    restored: tuple[str, ...]


def plan(root: Path, text: str) -> Plan:
    """Read the patch in `text`, and the files that it names beneath `root`.

    Raises PatchError if any part of it does not apply; the message names every file that does
    not, with the hunk, the lines that were not found and the nearest place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PatchError("the patch holds half a surrogate pair, no text", fix=_FIX) from error
    restored = recover(root)
    descriptor = folder.open_root(root)
    try:
        return _plan(root, descriptor, text, restored)
    except PatchError as error:
        raise PatchError(error.message, fix=_FIX) from error
    finally:
        os.close(descriptor)


def _plan(root: Path, descriptor: int, text: str, restored: tuple[str, ...]) -> Plan:
    """Take the first reading that applies."""
    *others, last = readings(text)
    for sections in others:
        with contextlib.suppress(PatchError):
            return _Planner(root, descriptor).plan(sections, restored)
    return _Planner(root, descriptor).plan(last, restored)


class _Planner:
    def __init__(self, root: Path, descriptor: int) -> None:
        self._root = root
        self._files = _Files(descriptor)
        self._notes: list[str] = []

    def plan(self, sections: list[Section], restored: tuple[str, ...]) -> Plan:
        said: list[str] = []
        wrong: dict[str, str] = {}
        for section in sections:
            if section.path in wrong:
                continue  # what is wrong with it follows from what was
            try:
                said.append(self._section(section))
            except PatchError as error:
                wrong[section.path] = error.message
        if wrong:
            raise PatchError("\n".join(f"{path}: {said}" for path, said in wrong.items()))
        return Plan(self._root, self._files.changes(), tuple(said), tuple(self._notes), restored)

    def _section(self, section: Section) -> str:
        path = folder.relative(self._root, section.path)
        match section:
            case Add():
                there = self._files.get(path)
                look = there.look if there else None
                self._files.put(path, section.content.encode(), look)
                return f"A {path}{_OVER if there else ''}"
            case Delete():
                self._files.must_get(path)
                self._files.remove(path)
                return f"D {path}"
            case Update():
                return self._update(path, section)

    def _update(self, path: str, section: Update) -> str:
        there = self._files.must_get(path)
        data = there.data
        if section.hunks:
            edited = edit(_text(data), section.hunks)
            data = edited.text.encode()
            self._notes += [f"{path}: {note}" for note in edited.notes]
        if section.move_to is None:
            self._files.put(path, data, there.look)
            return f"M {path}"
        try:
            return self._move(path, section.move_to, data, there.look)
        except PatchError as error:
            raise PatchError(f"it can't move to {section.move_to}: {error.message}") from error

    def _move(self, path: str, move_to: str, data: bytes, look: Look | None) -> str:
        target = folder.relative(self._root, move_to)
        if target == path:
            self._files.put(path, data, look)
            return f"M {path}"
        self._files.remove(path)
        over = _OVER if self._files.get(target) else ""
        self._files.put(target, data, look, source=path)
        return f"R {path} -> {target}{over}"


_OVER = " (over the file that was there)"


class _Now(Struct, frozen=True):
    """A file as the sections so far leave it."""

    data: bytes
    look: Look | None
    source: str | None = None


class _Files:
    """The folder's files with the changes of the sections so far."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._first: dict[str, Found | None] = {}
        self._now: dict[str, _Now | None] = {}

    def get(self, path: str) -> _Now | None:
        """Return the file at `path`; raises PatchError where something else stands there."""
        if path not in self._now:
            gone = any(self._now.get(parent, True) is None for parent in _parents(path))
            found = None if gone else folder.read(self._root, path)
            self._first[path] = found
            self._now[path] = _Now(found.data, found.look) if found else None
        return self._now[path]

    def must_get(self, path: str) -> _Now:
        """Return the file at `path`; raises PatchError where there is none."""
        there = self.get(path)
        if there is None:
            near = folder.alike(self._root, path)
            hint = f"; there is {', '.join(near)}" if near else ""
            raise PatchError(f"there is no such file{hint}")
        return there

    def put(self, path: str, data: bytes, look: Look | None, *, source: str | None = None) -> None:
        """Write a file; `source` is where it was moved from."""
        there = self.get(path)
        if any(self._now.get(parent) for parent in _parents(path)):
            raise PatchError("a folder above it is a file")
        if any(now and other.startswith(f"{path}/") for other, now in self._now.items()):
            raise PatchError("it is a folder")
        first = self._first[path]
        if first and not first.writable:
            raise PatchError(f"it is read-only (mode {first.look.mode:04o})")
        self._now[path] = _Now(data, look, source or (there.source if there else None))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._now[path] = None

    def changes(self) -> tuple[Change, ...]:
        """Return what is different now."""
        made = []
        for path, now in self._now.items():
            first = self._first[path]
            if (first and (first.data, first.look)) == (now and (now.data, now.look)):
                continue
            made.append(
                Change(
                    path,
                    old=first.data if first else None,
                    new=now.data if now else None,
                    stamp=first.stamp if first else None,
                    old_look=first.look if first else None,
                    look=now.look if now else None,
                    source=now.source if now and self._moved(now.source) else None,
                )
            )
        return tuple(made)

    def _moved(self, source: str | None) -> bool:
        """Tell whether the file that lay at `source` on the disk is gone from there."""
        return bool(source and self._first.get(source)) and self._now[source or ""] is None


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _text(data: bytes) -> str:
    if b"\0" in data:
        raise PatchError("it is a binary file: replace it whole or leave it")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PatchError(f"it is not UTF-8 text (byte {error.start + 1})") from error

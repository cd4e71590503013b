"""Carries out a plan: all of it or nothing.

Every new file is written, with its mode, and synced before the first is put in place by a rename,
so a full disk is found out while nothing has changed. Each file is at every moment whole, old or
new. A failure half-way is undone at once, a killed process by the next patch in the folder
(`palaver.tools.patch.restoring`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import PurePosixPath

import msgspec

from palaver.tools.patch.errors import PatchError
from palaver.tools.patch.folder import STAGING, Look, Stamp, open_root, parent_of, reason, sync
from palaver.tools.patch.planning import Change, Plan
from palaver.tools.patch.restoring import JOURNAL, Journal, Step, discard, locked, undo

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_UNCHANGED = "no file was changed"


def apply(plan: Plan) -> str:
    """Change the files as planned; return what was done, for the model.

    Raises PatchError, with every file as it was, where that can't be done: a disk that is full,
    a folder that can't be written to, a file that changed since it was read.
    """
    root = open_root(plan.root)
    try:
        with locked(root):
            if plan.changes:
                _apply(root, _in_order(plan.changes))
    except BlockingIOError as error:
        raise PatchError(
            f"another patch is being applied in this folder; {_UNCHANGED}", fix="Try again."
        ) from error
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise PatchError(f"{named}{reason(error)}; {_UNCHANGED}") from error
    finally:
        os.close(root)
    return "\n".join([*plan.restored, "Done:", *plan.said, *plan.notes])


def _in_order(changes: tuple[Change, ...]) -> list[Change]:
    """Removals last, so that what moves is never missing, but for files that become folders."""
    writes = [change for change in changes if change.new is not None]
    folders = {str(up) for change in writes for up in PurePosixPath(change.path).parents}
    removals = [change for change in changes if change.new is None]
    return (
        [change for change in removals if change.path in folders]
        + writes
        + [change for change in removals if change.path not in folders]
    )


def _apply(root: int, changes: list[Change]) -> None:
    name = STAGING + secrets.token_hex(4)
    os.mkdir(name, 0o700, dir_fd=root)
    staging = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        try:
            journal = _stage(root, staging, changes)
        except BaseException:
            discard(root, staging, name)
            raise
        try:
            _carry_out(root, staging, journal, changes)
            os.unlink(JOURNAL, dir_fd=staging)  # from here on the patch has happened
            sync(staging)
        except BaseException:
            undo(root, staging, journal)
            discard(root, staging, name)
            raise
        discard(root, staging, name)
    finally:
        os.close(staging)


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let an error of the system say which file it is about."""
    try:
        yield
    except OSError as error:
        raise PatchError(f"{path}: {reason(error)}; {_UNCHANGED}") from error


def _stage(root: int, staging: int, changes: list[Change]) -> Journal:
    """Write all that is needed to do the changes, and to undo them, into our folder."""
    steps = [_step(root, staging, number, change) for number, change in enumerate(changes)]
    status = os.fstat(staging)
    folders = _missing_folders(root, changes)
    journal = Journal(status.st_dev, status.st_ino, tuple(folders), tuple(steps))
    _write(staging, JOURNAL, msgspec.json.encode(journal), None)
    sync(staging)
    sync(root)
    return journal


def _step(root: int, staging: int, number: int, change: Change) -> Step:
    new = old = made = None
    with _naming(change.path):
        if change.new is not None:
            new = f"new-{number}"
            made = _write(staging, new, change.new, change.look)
        if change.old is not None:
            old = f"old-{number}"
            _keep(root, staging, old, change)
    return Step(change.path, old, new, made)


def _write(staging: int, name: str, data: bytes, look: Look | None) -> Stamp:
    """Write a file and sync it. Without `look` it gets the mode that new files get."""
    file = os.open(name, _NEW, 0o666, dir_fd=staging)
    with os.fdopen(file, "wb") as opened:
        opened.write(data)
        opened.flush()
        if look:
            with contextlib.suppress(OSError):  # only the superuser gives files away
                os.fchown(file, look.owner, look.group)
            os.fchmod(file, look.mode)
        os.fsync(file)
        return Stamp.of(os.fstat(file))


def _keep(root: int, staging: int, name: str, change: Change) -> None:
    """Hold on to the old file by a hard link; where there are none, by a copy."""
    with parent_of(root, change.path) as (folder, last):
        _check(folder, last, change)
        try:
            os.link(last, name, src_dir_fd=folder, dst_dir_fd=staging, follow_symlinks=False)
        except OSError:
            assert change.old is not None
            _write(staging, name, change.old, change.old_look)


def _missing_folders(root: int, changes: list[Change]) -> list[str]:
    """Return the folders to make, the upper ones first."""
    missing: dict[str, None] = {}
    files = {change.path for change in changes if change.new is None}
    for change in changes:
        if change.new is None:
            continue
        for up in reversed(PurePosixPath(change.path).parents[:-1]):
            if str(up) in missing:
                continue
            try:
                with parent_of(root, f"{up}/x"):
                    continue
            except FileNotFoundError:
                missing[str(up)] = None
            except PatchError:
                if not files & {str(up), *map(str, up.parents)}:
                    raise
                missing[str(up)] = None
    return list(missing)


def _carry_out(root: int, staging: int, journal: Journal, changes: list[Change]) -> None:
    """Do the steps. The folders are made when the files are gone that stood in their place."""
    made = False
    for step, change in zip(journal.steps, changes, strict=True):
        if step.new and not made:
            for path in journal.folders:
                with _naming(path), parent_of(root, path) as (folder, name):
                    os.mkdir(name, dir_fd=folder)
            made = True
        with _naming(step.path), parent_of(root, step.path) as (folder, name):
            _check(folder, name, change)
            if step.new:
                os.rename(step.new, name, src_dir_fd=staging, dst_dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
    changed = [*journal.folders, *(step.path for step in journal.steps)]
    for path in {str(PurePosixPath(path).parent / "x") for path in changed}:
        with parent_of(root, path) as (folder, _):
            sync(folder)


def _check(folder: int, name: str, change: Change) -> None:
    """Raise PatchError unless the file is the one that the plan was made for."""
    try:
        now = Stamp.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        now = None
    if now != change.stamp:
        raise PatchError(
            f"{change.path}: it changed since the patch was read; {_UNCHANGED}",
            fix="Read it again and make the patch anew.",
        )

"""Apply a patch to the files of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("patch")
@click.argument(
    "file",
    required=False,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option("--dry-run", is_flag=True, help="Show the changes as a diff and make none.")
def patch(file: Path | None, dry_run: bool) -> None:
    """Apply the patch in FILE, or what is piped in, to the files of the current folder.

    The patch has the form that models write: `*** Begin Patch`, sections that begin with `***
    Add File:`, `*** Delete File:` or `*** Update File:`, `*** End Patch`. All of it is applied,
    or nothing is changed and the exit code is 1. Files outside of the folder, symbolic links and
    what lies in .git are refused.
    """
    from palaver.cli._store import print_text, say
    from palaver.config.paths import here
    from palaver.tools.patch import apply, plan, unified

    planned = plan(here(), _text(file))
    if not dry_run:
        print_text(apply(planned) + "\n")
        return
    _show(unified(planned))
    for line in (*planned.restored, *planned.said, *planned.notes):
        say(line)


def _text(file: Path | None) -> str:
    from palaver.core.errors import UserError
    from palaver.tools.patch import PatchError

    if file and str(file) != "-":
        data = file.read_bytes()
    elif sys.stdin.isatty():
        raise UserError("there is no patch", fix="name its file, or pipe it in: palaver patch FILE")
    else:
        data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PatchError(f"the patch is not UTF-8 text (byte {error.start + 1})") from error


def _show(diff: str) -> None:
    from palaver.cli._store import print_text
    from palaver.config.environment import color_wanted
    from palaver.terminal.diff import colored

    if diff and sys.stdout.isatty() and color_wanted():
        sys.stdout.write(colored(diff))
    else:
        print_text(diff)


COMMAND = patch

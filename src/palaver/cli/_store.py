"""What the subcommands that work on the session store share."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from palaver.core.errors import UserError

if TYPE_CHECKING:
    from palaver.sessions.store import Store


def opened(*, readonly: bool) -> Store:
    """Open the session store of this user. Raises StoreError."""
    from palaver.config.paths import database
    from palaver.sessions.store import Store

    path = database()
    return Store(path, readonly=readonly and path.exists())


def session_numbers(store: Store, names: Iterable[str]) -> list[int]:
    """Return the sessions that are meant: numbers, `last`, `all`. Raises UserError."""
    found: list[int] = []
    for name in names:
        if name.isdecimal():
            found.append(store.session(int(name)).id)
        elif name in ("all", "last"):
            known = store.list_sessions(1 if name == "last" else None)
            if not known:
                raise UserError("There is no session yet.")
            found += sorted(session.id for session in known)
        else:
            raise UserError(
                f"{name!r} is no session.", fix="Give a session's number, or: last, all."
            )
    return list(dict.fromkeys(found))


def print_text(text: str) -> None:
    """Write to stdout: as it is to a file or a pipe, safe to look at on a terminal."""
    if sys.stdout.isatty():
        from palaver.terminal.escape import visible

        text = visible(text)
    sys.stdout.write(text)


def say(text: str) -> None:
    """Write a line about what was done to stderr."""
    if sys.stderr.isatty():
        from palaver.terminal.escape import visible

        text = visible(text)
    sys.stderr.write(text + "\n")


def when(at: float) -> str:
    """Write a moment in local time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    except (OverflowError, ValueError, OSError):  # a time out of an import
        return "unknown time    "

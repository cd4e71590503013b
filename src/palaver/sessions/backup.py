"""A copy of the whole store in one file."""

from __future__ import annotations

import os
from pathlib import Path

from palaver.core.errors import UserError
from palaver.sessions.faults import from_os, guarded
from palaver.sessions.files import make_private
from palaver.sessions.store import Store


def back_up(store: Store, into: Path) -> int:
    """Write what the store holds at this moment to the new file `into`; return its bytes.

    The copy is a store itself, 0600, on the disk when this returns. Others may go on writing.
    Raises UserError if `into` exists, StoreError if either file fails.
    """
    if into.exists() or into.is_symlink():
        raise UserError(f"{into} is there already.", fix="Name a file that does not exist.")
    make_private(into)
    try:
        with guarded(into):
            store.db.main.execute("VACUUM INTO ?", (str(into.absolute()),))
        file = os.open(into, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(file)
            return os.fstat(file).st_size
        finally:
            os.close(file)
    except OSError as error:
        into.unlink(missing_ok=True)
        raise from_os(into, error) from error
    except BaseException:
        into.unlink(missing_ok=True)
        raise

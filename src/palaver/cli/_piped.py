"""What is piped into a subcommand."""

from __future__ import annotations

import sys

from palaver.core.errors import UserError


def read_piped() -> str:
    """Return what is piped in, "" where nothing is. Raises UserError where it is no text."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"what was piped is not UTF-8 text (byte {error.start + 1})") from None

"""What standard input and output have to be before anything uses them, and what ends them."""

from __future__ import annotations

import os
import sys


def prepare() -> None:
    """Give the process streams that it can use, whatever it was started with."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed (`>&-`)
            taken = os.open(os.devnull, os.O_RDWR)
            if taken != number:  # only the lowest that is free is sure to be ours
                os.dup2(taken, number)
                os.close(taken)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    if sys.stdout.encoding.lower().replace("-", "") != "utf8":
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def silence() -> None:
    """Write nothing more to stdout: the interpreter would complain, at its end, of what is left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def report(error: Exception) -> int:
    """Print an error that the user can act on; return its exit code."""
    from palaver.core.errors import PalaverError
    from palaver.terminal.escape import visible

    lines = visible(str(error)).splitlines() or [type(error).__name__]
    sys.stderr.write(f"palaver: {lines[0]}\n")
    for line in lines[1:]:
        sys.stderr.write(f"  {line}\n")
    return error.exit_code if isinstance(error, PalaverError) else 1

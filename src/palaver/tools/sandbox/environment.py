"""The environment of a program in the sandbox: what is on the list, nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_NAMES = (
    "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "COLORTERM", "NO_COLOR", "TZ",
    "COLUMNS", "LINES", "JAVA_HOME", "SYSTEMROOT",
)  # fmt: skip
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ALWAYS = {"TMPDIR": "/tmp", "XDG_CACHE_HOME": "/tmp/.cache", "SHELL": "/bin/sh"}


def allowed(environment: Mapping[str, str], writable: list[Path]) -> dict[str, str]:
    """Return what a program gets of the user's environment.

    No folder of PATH may be one that programs in the sandbox can write to: a command that was
    allowed by its name would be whatever a program put there.
    """
    found = {
        name: value for name, value in environment.items()
        if name in _NAMES or name.startswith("LC_")
    }  # fmt: skip
    folders = environment.get("PATH", _SYSTEM_PATH).split(os.pathsep)
    found["PATH"] = os.pathsep.join(f for f in folders if _trusted(f, writable)) or _SYSTEM_PATH
    return found | _ALWAYS


def _trusted(folder: str, writable: list[Path]) -> bool:
    if not folder.startswith("/"):
        return False
    real = Path(os.path.realpath(folder))
    closed = [*writable, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run")]
    return not any(real == path or path in real.parents for path in closed)

"""The commands that install what is missing, for the Python that runs: there may be several."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parents[3]


def pip(what: str) -> str:
    """Return the command that installs packages, given as pip takes them."""
    return f"{shlex.quote(sys.executable)} -m pip install {what}"


def palaver(extra: str = "") -> str:
    """Return the command that installs palaver with an extra, from its checkout if it is one."""
    extras = f"[{extra}]" if extra else ""
    if not (_CHECKOUT / "pyproject.toml").is_file():
        return pip(shlex.quote(f"palaver{extras}"))
    pins = shlex.quote(str(_CHECKOUT / "constraints.txt"))
    return pip(f"-c {pins} -e {shlex.quote(f'{_CHECKOUT}{extras}')}")

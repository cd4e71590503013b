"""The command line for bubblewrap (github.com/containers/bubblewrap, bwrap(1))."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.view import View

# Not the user's PATH: this program is what all the rest rests on.
_PLACES = ("/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin")
INNER = str(Path(__file__).parent)
_RUN = "import sys; sys.path[:0] = [{!r}]; from inner import cell; cell.main()"


def find(places: Sequence[str] = _PLACES) -> str | None:
    """Return the path of bwrap, None where it is not installed."""
    return next((f"{p}/bwrap" for p in places if Path(p, "bwrap").is_file()), None)


def takes_sizes(program: str) -> bool:
    """Say whether this bwrap can limit a folder in memory (from 0.8 on)."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    numbers = done.stdout.rpartition(" ")[2].strip().split(".")[:2]
    return all(n.isdigit() for n in numbers) and [int(n) for n in numbers] >= [0, 8]


def argv(program: str, view: View, policy: Policy, *, sized: bool) -> list[str]:
    """Return the command that starts a cell inside.

    `--cap-drop ALL` matters for root above all: without it root may mount everything writable
    again. The cell is process 1, so that nothing inside can stop it.
    """
    words = [
        program, "--die-with-parent", "--new-session", "--as-pid-1", "--unshare-pid",
        "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL",
    ]  # fmt: skip
    if not policy.network:
        words.append("--unshare-net")
    words += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    size = ["--size", str(policy.limits.scratch)] if sized else []
    for kind, path in view:
        words += {
            "empty": ["--perms", "1777", *size, "--tmpfs", path],
            "hide": ["--perms", "0000", "--tmpfs", path, "--remount-ro", path],
            "blank": ["--ro-bind", "/dev/null", path],
            "write": ["--bind", path, path],
            "keep": ["--ro-bind", path, path],
        }[kind]
    words += ["--chdir", "/", "--", sys.executable, "-I", "-S", "-c", _RUN.format(INNER)]
    return [*words, f"cell of palaver {os.getpid()}"]  # for whoever reads a list of processes

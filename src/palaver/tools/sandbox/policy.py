"""What a program in the sandbox may do, as values."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from msgspec import Struct

Kind = Literal["auto", "bubblewrap", "namespaces", "seatbelt", "none"]


class Limits(Struct, frozen=True):
    """Caps, in bytes but for `processes`.

    `memory` is for each process, and for all of them together where control groups can be had.
    `scratch` is the room in each of /tmp, /var/tmp and /dev/shm, which lie in memory.
    """

    memory: int = 4 << 30
    processes: int = 512
    file: int = 4 << 30
    scratch: int = 1 << 30


def rlimits(limits: Limits) -> list[tuple[str, int]]:
    """Return what each process is held to, as names of `resource`.

    Cores: 1 byte, because 0 does not keep a system's own handler from being started (core(5)).
    RLIMIT_NPROC counts the cell's processes alone from Linux 5.14 on, all of the user's before.
    """
    found = [
        ("RLIMIT_CORE", 1), ("RLIMIT_DATA", limits.memory), ("RLIMIT_FSIZE", limits.file),
        ("RLIMIT_RTPRIO", 0),
    ]  # fmt: skip
    kernel = [int(n) for n in re.findall(r"\d+", os.uname().release)[:2]]
    return found + [("RLIMIT_NPROC", limits.processes)] * (kernel >= [5, 14])


class Policy(Struct, frozen=True):
    """What may be written (`root`, `writable`) and not seen (`hidden`), and if there is a network.

    `kept` are names directly in `root` that stay as they are; what git runs is in `.git`.
    """

    root: Path
    writable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    kept: tuple[str, ...] = (".git",)
    network: bool = False
    limits: Limits = Limits()

"""What a program in the sandbox may do, as values."""

from __future__ import annotations

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

"""What a process and those that it started held at most, where Linux tells."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def peak(process: int) -> int | None:
    """Return the bytes that each held at most, added up; None where nobody says.

    Of an engine that owns a server, or shares a model with others, its own process is the least.
    """
    sizes = [size for one in _family(process) if (size := _peak(one)) is not None]
    return sum(sizes) if sizes else None


def _family(process: int) -> list[int]:
    """Return a process and all that descend from it."""
    started: dict[int, list[int]] = {}
    for stat in _PROC.glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything; the parent is the second word behind it.
            text = stat.read_text(encoding="utf-8", errors="replace")
            parent = int(text.rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue  # it has ended
        started.setdefault(parent, []).append(int(stat.parent.name))
    found = [process]
    for one in found:
        found += started.get(one, ())
    return found


def _peak(process: int) -> int | None:
    try:
        status = (_PROC / str(process) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else None

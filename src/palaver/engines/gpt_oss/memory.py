"""How much memory is free for experts that are unpacked."""

from __future__ import annotations

from pathlib import Path


def free(root: Path = Path("/")) -> int | None:
    """Return the bytes that new memory may take: the system's, within those of our control group.

    None where Linux doesn't tell. https://docs.kernel.org/filesystems/proc.html (meminfo),
    https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max); the files lie beneath `root`.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([*found, *_group(root)]) if found else None


def _group(root: Path) -> list[int]:
    """Return the bytes that the limits of our control group, and those around it, leave."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    names = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    left = []
    for folder in [p for name in names for p in (Path(name), *Path(name).parents)]:
        place = root / "sys/fs/cgroup" / folder
        try:
            most = (place / "memory.max").read_text().strip()
            used = int((place / "memory.current").read_text())
        except (OSError, ValueError):
            continue
        if most.isdecimal():
            left.append(max(0, int(most) - used))
    return left

"""Control groups: a cap on what all processes of one command use together.

Only where we may make groups: as root, or where the user's session delegates them. Both
hierarchies are known, version 2 and the older one with a tree for each controller.
"""

import os

_ROOT = "/sys/fs/cgroup"


def _own_groups() -> dict[str, str]:
    """Return controller -> group of this process; "" stands for version 2."""
    found = {}
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for controller in controllers.split(","):
                found[controller] = path
    return found


def places() -> list[tuple[str, dict[str, str]]]:
    """Return the folders to make groups in, and for each: limit -> file that takes it."""
    try:
        own = _own_groups()
    except OSError:
        return []
    if "pids" in own or "memory" in own:
        files = {"pids": "pids.max", "memory": "memory.limit_in_bytes"}
        found = [
            (f"{_ROOT}/{name}{own[name]}", {name: file}) for name, file in files.items()
            if name in own
        ]  # fmt: skip
    else:
        # A group of version 2 that holds processes can't have limited children: stand beside it.
        beside = own.get("", "/").rpartition("/")[0]
        found = [(f"{_ROOT}{beside}", {"pids": "pids.max", "memory": "memory.max"})]
    return [(folder, files) for folder, files in found if os.access(folder, os.W_OK)]


class Group:
    """The groups of one command, one in each place; where one can't be made it is left out."""

    def __init__(self, name: str, limits: dict[str, int]) -> None:
        self.folders: list[str] = []
        for place, files in places():
            folder = f"{place}/{name}"
            try:
                os.mkdir(folder)
                self.folders.append(folder)
                for limit, file in files.items():
                    _write(f"{folder}/{file}", str(limits[limit]))
            except OSError:
                self.remove()

    def join(self) -> None:
        """Put this process into the groups."""
        for folder in self.folders:
            _write(f"{folder}/cgroup.procs", str(os.getpid()))

    def remove(self) -> bool:
        """Remove the groups; say whether they are gone, as they are once their processes are."""
        for folder in self.folders[:]:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                continue
            self.folders.remove(folder)
        return not self.folders


def tidy() -> None:
    """Remove what launchers that were killed have left."""
    for place, _ in places():
        for name in os.listdir(place):
            launcher = name[len("palaver-") :].partition("-")[0]
            ours = name.startswith("palaver-") and launcher.isdigit()
            if ours and not os.path.exists(f"/proc/{launcher}"):
                try:
                    os.rmdir(f"{place}/{name}")
                except OSError:
                    pass


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)

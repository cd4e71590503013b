"""Our own walls where bubblewrap is not installed: new namespaces and a file system to see.

Needs root or unprivileged user namespaces, and Linux 5.12 (mount_setattr). The order is that of
`enter`: the root as it is, read-only; over it /proc, /dev and the view that the policy asks for.
"""

import _socket
import ctypes
import os
import struct
from fcntl import ioctl

from . import kernel

_NEW_NS, _NEW_CGROUP, _NEW_UTS, _NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 4096
_REC, _PRIVATE = 1 << 14, 1 << 18
_HERE, _EMPTY_PATH, _RECURSIVE, _CLONE, _CLOEXEC = -100, 0x1000, 0x8000, 1, 0o2000000
_MOVE_FROM_FD = 4
_DETACH = 2
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

View = list[tuple[str, str]]


def leave(*, network: bool) -> None:
    """Leave the namespaces of the user; the next fork is process 1 of the new ones."""
    me, mine = os.geteuid(), os.getegid()
    others = _NEW_NS | _NEW_CGROUP | _NEW_UTS | _NEW_IPC | _NEW_PID | (0 if network else _NEW_NET)
    if me != 0:
        kernel.unshare(_NEW_USER)
        _write("/proc/self/uid_map", f"{me} {me} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{mine} {mine} 1")
    kernel.unshare(others)


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def _copy(path: str) -> int:
    """Return a mount that shows `path` and stands nowhere yet."""
    return kernel.call(
        "open_tree", kernel.OPEN_TREE, _HERE, path.encode(), _CLONE | _RECURSIVE | _CLOEXEC
    )


def _set(mount: int, flags: int) -> None:
    attributes = struct.pack("=QQQQ", flags, 0, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    kernel.call(
        "mount_setattr", kernel.MOUNT_SETATTR, mount, b"", _EMPTY_PATH | _RECURSIVE, buffer, 32
    )


def _place(mount: int, path: str) -> None:
    kernel.call("move_mount", kernel.MOVE_MOUNT, mount, b"", _HERE, path.encode(), _MOVE_FROM_FD)
    os.close(mount)


def enter(view: View, *, network: bool, size: int) -> None:
    """Make the file system of process 1 and go into it; `size`: bytes of each empty place.

    Raises OSError.
    """
    kernel.mount("", "/", "", _REC | _PRIVATE)
    root = _copy("/")
    _set(root, _RDONLY | _NOSUID | _NODEV)
    sources = [_source(kind, path) for kind, path in view]
    devices = [_copy(f"/dev/{name}") for name in _DEVICES]
    os.set_inheritable(root, False)
    kept = os.dup(root)
    _place(root, "/dev")  # anywhere: the old root is gone two lines on
    os.fchdir(kept)
    os.close(kept)
    kernel.call("pivot_root", kernel.number("pivot_root"), b".", b".")
    kernel.unmount(".", _DETACH)
    os.chdir("/")
    kernel.mount("proc", "/proc", "proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    _make_devices(devices)
    for (kind, path), source in zip(view, sources, strict=True):
        _show(kind, path, source, size)
    if not network:
        _loopback_up()


def _source(kind: str, path: str) -> int:
    """Open what will be shown while the old root can still be seen; -1 if nothing is needed."""
    if kind in ("write", "keep"):
        mount = _copy(path)
        _set(mount, _NOSUID | _NODEV | (_RDONLY if kind == "keep" else 0))
        return mount
    if kind == "blank":
        mount = _copy("/dev/null")
        _set(mount, _RDONLY | _NOSUID | _NODEV)  # so that reading it is refused
        return mount
    return -1


def _show(kind: str, path: str, source: int, size: int) -> None:
    if kind == "empty":
        kernel.mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, f"mode=1777,size={size}")
    elif kind == "hide":
        kernel.mount("tmpfs", path, "tmpfs", _RDONLY | _NOSUID | _NODEV, "mode=000,size=4k")
    else:
        _make_room(path, folder=bool(os.stat(source).st_mode & 0o040000))
        _place(source, path)


def _make_room(path: str, *, folder: bool) -> None:
    """Make the place of a mount where an empty file system was put over it."""
    if os.access(path, os.F_OK):
        return
    os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
    if not folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))


def _make_devices(devices: list[int]) -> None:
    kernel.mount("tmpfs", "/dev", "tmpfs", _NOSUID, "mode=755,size=64k")
    for name, device in zip(_DEVICES, devices, strict=True):
        os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        _place(device, f"/dev/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"/dev/{name}")
    kernel.mount("devpts", "/dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666")
    for name, target in (
        ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
    ):  # fmt: skip
        os.symlink(target, f"/dev/{name}")
    kernel.mount("", "/dev", "", _REMOUNT | _BIND | _RDONLY | _NOSUID)


def _loopback_up() -> None:
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    device = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        reply = ioctl(device, get_flags, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16xh22x", reply)[0] | up
        ioctl(device, set_flags, struct.pack("16sh22x", b"lo", flags))
    finally:
        device.close()

"""System calls that Python has no function for, by ctypes."""

import ctypes
import errno
import os

_libc = ctypes.CDLL(None, use_errno=True)

# Calls that came after Linux 4 have one number everywhere (asm-generic/unistd.h).
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
_OTHERS = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capset": 126},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capset": 91},
}

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def call(name: str, number: int, *arguments: object) -> int:
    """Make a system call by its number; `name` stands in the OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *words), name)


def number(name: str) -> int:
    """Return the number of a call that differs by machine; OSError where it is not known."""
    try:
        return _OTHERS[os.uname().machine][name]
    except KeyError:
        raise OSError(errno.ENOSYS, f"{name}: not known on {os.uname().machine}") from None


def prctl(option: int, value: int) -> None:
    """Set one property of this process."""
    _checked(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a new file system, or change one."""
    words = [text.encode() or None for text in (source, target, kind, data)]
    _checked(
        _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]),
        f"mount {kind or 'flags'} on {target}",
    )


def unmount(target: str, flags: int) -> None:
    """Unmount."""
    _checked(_libc.umount2(target.encode(), flags), f"unmount {target}")


def drop_capabilities() -> None:
    """Give up every capability, and the means to get one back by starting a program."""
    last = 63
    for capability in range(last + 1):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    call("capset", number("capset"), header, (ctypes.c_uint32 * 6)())

"""Landlock: a second wall around files, held by the kernel whatever is mounted how.

Everything may be read and run (what may not be seen is hidden by mounts); writing is allowed
beneath the given folders alone; signals and abstract sockets stay inside. Source: landlock(7),
linux/landlock.h.
"""

import ctypes
import errno
import os
import struct

from . import kernel

_EXECUTE, _WRITE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = (
    1,
    1 << 1,
    1 << 2,
    1 << 3,
    1 << 14,
    1 << 15,
)
_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL = (1 << 16) - 1  # from ABI 5 on
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE | _READ_FILE | _TRUNCATE | _IOCTL
_SCOPES = 0b11  # abstract unix sockets and signals, from ABI 6 on


def version() -> int:
    """Return the kernel's Landlock ABI; 0 where it has none."""
    try:
        return kernel.call("landlock_create_ruleset", kernel.LANDLOCK_CREATE, 0, 0, 1)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            return 0
        raise


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, there)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        beneath = 1
        kernel.call("landlock_add_rule", kernel.LANDLOCK_ADD, ruleset, beneath, buffer, 0)
    finally:
        os.close(there)


def restrict(writable: list[str]) -> None:
    """Keep this process, and all that it starts, from writing anywhere else.

    Does nothing on a kernel without Landlock. PR_SET_NO_NEW_PRIVS must be set.
    """
    abi = version()
    if not abi:
        return
    handled = _BY_ABI.get(abi, _ALL)
    rules = struct.pack("=QQQ", handled, 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    buffer = ctypes.create_string_buffer(rules, len(rules))
    ruleset = kernel.call("landlock_create_ruleset", kernel.LANDLOCK_CREATE, buffer, size, 0)
    try:
        _allow(ruleset, "/", handled & _READ)
        for path in writable:
            _allow(ruleset, path, handled)
        kernel.call("landlock_restrict_self", kernel.LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)

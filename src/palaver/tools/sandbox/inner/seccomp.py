"""The system calls that a command may not make, as a classic BPF program.

A list of what is refused, under a ceiling: calls that are newer than this list don't exist in
here. What is left is harmless behind the namespaces. Sources: seccomp(2), linux/seccomp.h,
linux/bpf_common.h, asm/unistd_64.h, asm-generic/unistd.h.
"""

import ctypes
import os
import struct

from . import kernel

_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_ALLOW, _REFUSE, _ABSENT = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # EPERM, ENOSYS
_NEWEST = 466  # removexattrat, Linux 6.13: the last call that was read for this list
_X32 = 0x3FFFFFFF  # numbers above it are calls of the x32 ABI

# name -> number, by machine. Where only one machine has a call, only that one names it.
_X86_64 = {
    "ptrace": 101, "syslog": 103, "uselib": 134, "ustat": 136, "sysfs": 139, "vhangup": 153,
    "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156, "adjtimex": 159, "chroot": 161,
    "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
    "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
    "create_module": 174, "init_module": 175, "delete_module": 176, "get_kernel_syms": 177,
    "query_module": 178, "quotactl": 179, "nfsservctl": 180, "lookup_dcookie": 212,
    "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298,
    "fanotify_init": 300, "fanotify_mark": 301, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320,
    "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42,
    "chroot": 51, "vhangup": 58, "quotactl": 60, "acct": 89, "unshare": 97, "kexec_load": 104,
    "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116, "ptrace": 117,
    "reboot": 142, "sethostname": 161, "setdomainname": 162, "settimeofday": 170, "adjtimex": 171,
    "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225,
    "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262,
    "fanotify_mark": 263, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "kcmp": 272, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
}  # fmt: skip
_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443,
    "process_mrelease": 448,
}  # fmt: skip
# Programs fall back to an older call where these don't exist; their arguments lie in memory,
# where a filter can't look.
_OLDER_WILL_DO = {"clone3": 435, "openat2": 437}

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, UTS, IPC, USER, PID, NET, CGROUP
_SET_ID = 0o6000
_INET, _INET6, _NETLINK = 2, 10, 16
_STREAM, _SEQPACKET = 1, 5
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_CHARACTER, _BLOCK, _FORMAT = 0o020000, 0o060000, 0o170000

Step = tuple[int, int, int, int]


class _Machine:
    """What differs: the architecture's mark, refused calls, calls whose arguments are looked at."""

    def __init__(self, audit: int, refused: dict[str, int], looked_at: dict[str, int]) -> None:
        self.audit = audit
        self.refused = refused | _EVERYWHERE
        self.looked_at = looked_at


MACHINES = {
    "x86_64": _Machine(0xC000003E, _X86_64, {
        "socket": 41, "socketpair": 53, "clone": 56, "ioctl": 16, "personality": 135,
        "mknod": 133, "mknodat": 259, "open": 2, "creat": 85, "openat": 257, "chmod": 90,
        "fchmod": 91, "fchmodat": 268, "fchmodat2": 452,
    }),
    "aarch64": _Machine(0xC00000B7, _AARCH64, {
        "socket": 198, "socketpair": 199, "clone": 220, "ioctl": 29, "personality": 92,
        "mknodat": 33, "openat": 56, "fchmod": 52, "fchmodat": 53, "fchmodat2": 452,
    }),
}  # fmt: skip


def _argument(index: int) -> Step:
    """Load an argument's low half: the kernel looks at no more of those that are checked here."""
    return (_LOAD, 0, 0, 16 + 8 * index)


def _return_if(value: int, result: int, test: int = _EQUAL) -> list[Step]:
    return [(test, 0, 1, value), (_RETURN, 0, 0, result)]


def _end(result: int) -> list[Step]:
    return [(_RETURN, 0, 0, result)]


def _only(index: int, *values: int) -> list[Step]:
    """Allow a call whose argument is one of `values`."""
    steps = [_argument(index)]
    for value in values:
        steps += _return_if(value, _ALLOW)
    return steps + _end(_REFUSE)


def _not(index: int, *values: int) -> list[Step]:
    steps = [_argument(index)]
    for value in values:
        steps += _return_if(value, _REFUSE)
    return steps + _end(_ALLOW)


def _no_bit(index: int, bits: int) -> list[Step]:
    return [_argument(index), *_return_if(bits, _REFUSE, _ANY_BIT), *_end(_ALLOW)]


def _no_device(index: int) -> list[Step]:
    steps = [_argument(index), (_AND, 0, 0, _FORMAT)]
    return [
        *steps, *_return_if(_CHARACTER, _REFUSE), *_return_if(_BLOCK, _REFUSE),
        *_no_bit(index, _SET_ID),
    ]  # fmt: skip


def _checks(name: str) -> list[Step]:
    """Return what decides about one call; it ends in a return whatever the arguments are."""
    if name == "socket":
        netlink = [_argument(2), *_return_if(0, _ALLOW), *_end(_REFUSE)]  # NETLINK_ROUTE: own netns
        return [
            _argument(0), *_return_if(_INET, _ALLOW), *_return_if(_INET6, _ALLOW),
            (_EQUAL, 0, len(netlink), _NETLINK), *netlink, *_end(_REFUSE),
        ]  # fmt: skip
    if name == "socketpair":
        # A pair of datagram sockets can send to any path, so only those that stay connected.
        return [
            _argument(1), (_AND, 0, 0, 0xF),
            *_return_if(_STREAM, _ALLOW), *_return_if(_SEQPACKET, _ALLOW), *_end(_REFUSE),
        ]  # fmt: skip
    if name == "clone":
        return _no_bit(0, _NEW_NAMESPACES)
    if name == "ioctl":
        return _not(1, _TIOCSTI, _TIOCLINUX)
    if name == "personality":
        return _only(0, 0, 0xFFFFFFFF)
    if name in ("mknod", "mknodat"):
        return _no_device(1 if name == "mknod" else 2)
    # A set-user-ID file in the workspace would be one outside, too.
    mode = {"open": 2, "creat": 1, "openat": 3, "chmod": 1, "fchmod": 1}.get(name, 2)
    return _no_bit(mode, _SET_ID)


def program(machine: str) -> bytes:
    """Return the filter for a machine as the kernel takes it; KeyError for one we don't know."""
    here = MACHINES[machine]
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, here.audit), *_end(_REFUSE), (_LOAD, 0, 0, 0)]
    if machine == "x86_64":
        steps += _return_if(_X32, _REFUSE, _ABOVE)
    steps += _return_if(_NEWEST, _ABSENT, _ABOVE)
    for number in sorted(here.refused.values()):
        steps += _return_if(number, _REFUSE)
    for number in _OLDER_WILL_DO.values():
        steps += _return_if(number, _ABSENT)
    for name, number in here.looked_at.items():
        body = _checks(name)
        steps += [(_EQUAL, 0, len(body), number), *body]
    steps += _end(_ALLOW)
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def install() -> None:
    """Put the filter on this process and all that it starts; it can't be taken off again."""
    filters = program(os.uname().machine)
    code = ctypes.create_string_buffer(filters, len(filters))
    header = struct.pack("@HP", len(filters) // 8, ctypes.addressof(code))
    set_filter = 1
    call = kernel.number("seccomp")
    kernel.call("seccomp", call, set_filter, 0, ctypes.create_string_buffer(header, len(header)))

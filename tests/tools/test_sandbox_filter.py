"""The seccomp filter, run by a small interpreter: also for the machine that we are not on."""

import errno
import os
import re
import struct
from pathlib import Path

import pytest

from palaver.tools.sandbox.inner import seccomp

ALLOW, REFUSE, ABSENT = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
machines = pytest.mark.parametrize("machine", AUDIT)


def verdict(machine, number, *arguments, audit=None):
    """Run the filter on one call."""
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, audit or AUDIT[machine], 0, *words)
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    at = held = 0
    while True:
        code, yes, no, k = steps[at]
        at += 1
        if code == 0x20:
            held = struct.unpack_from("=I", data, k)[0]
        elif code == 0x54:
            held &= k
        elif code == 0x06:
            return k
        else:
            test = {0x15: held == k, 0x25: held > k, 0x45: bool(held & k)}[code]
            at += yes if test else no


def calls(machine):
    here = seccomp.MACHINES[machine]
    return here.looked_at, here.refused


@machines
def test_calls_of_another_architecture_are_refused(machine):
    other = next(audit for name, audit in AUDIT.items() if name != machine)
    assert verdict(machine, 0, audit=other) == REFUSE
    assert verdict(machine, 1, audit=0x40000003) == REFUSE  # int 0x80
    assert verdict(machine, 0) == ALLOW


@machines
def test_what_is_on_the_list_is_refused_and_what_is_newer_does_not_exist(machine):
    _, refused = calls(machine)
    for name in (
        "ptrace", "mount", "unshare", "setns", "keyctl", "bpf", "io_uring_setup",
        "open_by_handle_at", "process_vm_writev", "perf_event_open", "pidfd_getfd",
    ):  # fmt: skip
        assert verdict(machine, refused[name]) == REFUSE, name
    assert verdict(machine, 435) == ABSENT  # clone3: libc falls back to clone
    assert verdict(machine, 437) == ABSENT  # openat2
    for number in (467, 500, 100_000):
        assert verdict(machine, number) == ABSENT
    if machine == "x86_64":
        assert verdict(machine, 0x40000000 + 39) == REFUSE


@machines
def test_sockets_are_those_of_the_own_network_alone(machine):
    number = calls(machine)[0]["socket"]
    allowed = [f for f in range(46) if verdict(machine, number, f, 1, 0) == ALLOW]
    assert allowed == [2, 10, 16]
    assert verdict(machine, number, 16, 3, 15) == REFUSE
    assert verdict(machine, number, 1 | 1 << 32, 1, 0) == REFUSE  # the kernel cuts it to 1


@machines
def test_pairs_of_sockets_stay_pairs(machine):
    number = calls(machine)[0]["socketpair"]
    cloexec = 0o2000000
    assert verdict(machine, number, 1, 1 | cloexec) == ALLOW
    assert verdict(machine, number, 1, 5) == ALLOW
    for kind in (2, 2 | cloexec, 3, 4):
        assert verdict(machine, number, 1, kind) == REFUSE


@machines
def test_processes_and_threads_are_made_but_no_namespaces(machine):
    number = calls(machine)[0]["clone"]
    thread = 0x3D0F00
    assert verdict(machine, number, 17) == ALLOW
    assert verdict(machine, number, thread) == ALLOW
    for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, number, 17 | bit) == REFUSE


@machines
def test_nobody_types_on_the_terminal(machine):
    number = calls(machine)[0]["ioctl"]
    assert verdict(machine, number, 0, 0x5412) == REFUSE
    assert verdict(machine, number, 0, 0x5412 | 1 << 40) == REFUSE
    assert verdict(machine, number, 0, 0x541C) == REFUSE
    assert verdict(machine, number, 0, 0x5413) == ALLOW


@machines
def test_no_file_gets_its_owners_rights_and_no_device_is_made(machine):
    looked_at, _ = calls(machine)
    place = {"open": 2, "creat": 1, "openat": 3, "chmod": 1, "fchmod": 1, "fchmodat": 2,
             "fchmodat2": 2, "mknod": 1, "mknodat": 2}  # fmt: skip
    for name, at in place.items():
        if name in looked_at:
            for mode, expected in ((0o644, ALLOW), (0o4755, REFUSE), (0o2755, REFUSE)):
                arguments = [0] * 6
                arguments[at] = mode
                assert verdict(machine, looked_at[name], *arguments) == expected, name
    mknodat = looked_at["mknodat"]
    assert verdict(machine, mknodat, 0, 0, 0o010644) == ALLOW
    assert verdict(machine, mknodat, 0, 0, 0o020644) == REFUSE
    assert verdict(machine, mknodat, 0, 0, 0o060644) == REFUSE


@machines
def test_numbers_are_those_of_the_kernels_headers(machine):
    header = {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }[machine]
    if not os.path.exists(header):  # noqa: PTH110
        pytest.skip(f"{header} is not installed")
    found = dict(re.findall(r"#define __NR_(?:3264_)?(\w+)\s+(\d+)", Path(header).read_text()))
    looked_at, refused = calls(machine)
    known = {n: number for n, number in (looked_at | refused).items() if n in found}
    assert len(known) > 50
    assert {n: int(found[n]) for n in known} == known

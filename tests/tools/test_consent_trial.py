"""The trial of benchmarks/consent.py, in short: what is called safe against what bash does."""

import shutil
import subprocess
import sys

import pytest
from benchmarks.consent import faults, trial


def can_run():
    if not shutil.which("strace") or not shutil.which("unshare"):
        return False
    flags = ["--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--fork"]
    tried = subprocess.run(["unshare", *flags, "true"], capture_output=True)
    return tried.returncode == 0 and sys.platform == "linux"


@pytest.mark.skipif(not can_run(), reason="needs strace and namespaces (Linux)")
def test_no_line_is_called_safe_that_is_not():
    outcomes, wrong = trial(250, seed=7)
    assert wrong == []
    assert outcomes["called safe, was safe"] > 30
    # The trial sees what is not safe: else it would prove nothing.
    assert outcomes["asked, was not safe"] > 30


def test_a_trace_is_read():
    log = """\
1   execve("/usr/bin/ls", ["ls"], 0x1 /* 3 vars */) = 0
12    openat(AT_FDCWD, "a.txt", O_RDONLY|O_CLOEXEC) = 3
12    openat(AT_FDCWD, "/dev/null", O_WRONLY|O_CREAT, 0666) = 3
3 openat(AT_FDCWD, "pwned", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3
3 execve("./pwn", ["./pwn"], 0x1) = -1 ENOENT (No such file or directory)
3 unlinkat(AT_FDCWD, "x", 0 <unfinished ...>
3 socket(AF_INET, SOCK_STREAM, 0) = 3
3 socket(AF_UNIX, SOCK_STREAM, 0) = 3
3 openat(AT_FDCWD, "/tmp/outside/canary", O_RDONLY) = 3
3 +++ exited with 0 +++
"""
    assert [fault.split()[0] for fault in faults(log)] == [
        "openat", "execve", "unlinkat", "socket", "openat",
    ]  # fmt: skip

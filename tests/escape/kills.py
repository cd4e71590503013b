"""Kills palaver while a tool runs and looks for what lives on: `python -m tests.escape.kills`.

The place of palaver takes a small program that opens a sandbox and starts a tree of processes
which ignore signals, leave their session and lose their parents. It is killed with SIGKILL at a
random moment from before the tool starts until it has long been up; every fourth time the launcher
is killed at the same instant. Two seconds later nothing of either may be left.
"""

import argparse
import asyncio
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.escape.arena import sleepers

from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.sandbox import open_sandbox

_TREE = (
    "trap '' TERM HUP INT QUIT; setsid sleep {0} & (setsid setsid sleep {0} &) ; "
    "(trap '' HUP; nohup sleep {0} >/dev/null 2>&1 &) ; for i in 1 2 3; do sleep {0} & done; "
    "echo up; while :; do sleep {0}; done"
)
_LONGEST = 1.0  # seconds after which a kill comes at the latest
_ALLOWED = 2.0


async def _parent(kind, folder, seconds):
    sandbox = open_sandbox(Policy(root=folder), environment=dict(os.environ), kind=kind)
    sandbox.warm()
    print("open", flush=True)
    async with await sandbox.start(["bash", "-c", _TREE.format(seconds)], folder) as process:
        while data := await process.read():
            sys.stdout.buffer.write(data)
            sys.stdout.flush()


def _launchers(parent):
    """Return the processes that were started for a parent: its launcher, and cells."""
    marks = (f"launcher.main({parent})".encode(), f"cell of palaver {parent}".encode())
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
            if any(mark in line for mark in marks):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _children(parent):
    """Return a parent's only child: the launcher itself."""
    stats = [(pid, Path(f"/proc/{pid}/stat").read_text()) for pid in _launchers(parent)]
    return [pid for pid, stat in stats if int(stat.rpartition(")")[2].split()[1]) == parent]


def kill_once(kind, chance, *, launcher_too):
    """Kill a parent once; return what lives on two seconds later, and when it was killed."""
    seconds = f"{100 + secrets.randbelow(10**9) / 1e9:.9f}"
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "tests.escape.kills", "--parent", kind, folder, seconds]
        parent = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
        assert parent.stdout.readline() == b"open\n"
        delay = chance.uniform(0, _LONGEST)
        time.sleep(delay)
        both = [parent.pid, *_children(parent.pid)] if launcher_too else [parent.pid]
        for pid in both:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + _ALLOWED
        parent.wait()
        up = b"up" in parent.stdout.read()
        parent.stdout.close()
        while (left := sleepers(seconds) + _launchers(parent.pid)) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left, delay, up


def kill_often(kind, times, seed):
    """Kill so many times; return how often something lived on, and how often the tool was up."""
    chance = random.Random(seed)
    survived = ups = 0
    for at in range(times):
        left, delay, up = kill_once(kind, chance, launcher_too=kind != "none" and at % 4 == 3)
        survived += bool(left)
        ups += up
        if left:
            print(f"{kind} {at}: {left} live on; killed after {delay:.3f} s", flush=True)
    return survived, ups


def main():
    """Run as a command, or as the parent that is killed."""
    if sys.argv[1:2] == ["--parent"]:
        asyncio.run(_parent(sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=int, default=500, help="kills (500)")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--kind", choices=["bubblewrap", "namespaces", "none"], action="append")
    given = parser.parse_args()
    kinds = given.kind or ["bubblewrap", "namespaces"]
    worst = 0
    for kind in kinds:
        times = given.times // len(kinds)
        survived, ups = kill_often(kind, times, given.seed)
        worst += survived
        print(f"{kind}: {times} kills, {ups} with the tool up, {survived} survived")
    sys.exit(bool(worst))


if __name__ == "__main__":
    main()

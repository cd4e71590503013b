"""The kill trial of benchmarks/kill_turns.py, in short."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.sandbox import available

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify counts the calls")
def test_nothing_is_lost_or_done_twice_when_a_chat_is_killed_in_turns_with_tools():
    available("auto")
    done = subprocess.run(
        [sys.executable, "benchmarks/kill_turns.py", "--rounds", "8", "--seed", "3"],
        cwd=ROOT, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    counted = {name: int(n) for n, name in re.findall(r"(\d+) ([a-z ]+)[,\n]", done.stdout)}
    assert min(counted[name] for name in ("calls", "files made", "results painted")) > 0
    assert counted["gone on with"] > 1

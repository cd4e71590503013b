"""The kill trial of benchmarks/kill_tools.py, in short."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_or_done_twice_when_turns_with_tools_are_killed():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kill_tools", "--kills", "40"],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    calls, begun, shown = map(
        int, re.search(r"(\d+) calls, (\d+) begun, .* (\d+) results shown", done.stdout).groups()
    )
    assert min(calls, begun, shown) > 2, done.stdout  # few on a busy machine

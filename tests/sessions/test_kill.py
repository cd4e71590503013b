"""The kill trial of benchmarks/kill_store.py, in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_acknowledged_word_is_lost_when_the_process_is_killed():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kill_store", "--kills", "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 lost" in done.stdout
    assert " 0 answers recovered" not in done.stdout

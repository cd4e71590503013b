"""`palaver bench`: a row for each model and engine, and why there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.terminal import environment

NANO = Path(__file__).parents[1] / "data" / "palaver-nano.gguf"
SMALL = ("--prompt", "64", "--tokens", "8", "--threads", "1", "--context", "512")


def bench(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "bench", *args, *SMALL],
        env=environment(home), capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def test_what_a_model_costs_is_a_row(tmp_path):
    done = bench(tmp_path, "-m", str(NANO), "-e", "llama-cpp")
    assert (done.returncode, done.stderr) == (0, "")
    head, row = done.stdout.splitlines()
    assert head.split()[:2] == ["model", "engine"]
    name, engine, load, read, write, turn, again, _ = row.split()
    assert (name, engine) == ("palaver-nano", "llama-cpp")
    assert all(float(value) > 0 for value in (load, read, write, turn))
    assert int(again) in (16, 17)  # the last token that was said, where it was not read yet


def test_what_can_not_be_measured_is_said_and_the_rest_is(tmp_path):
    done = bench(tmp_path, "-m", str(NANO), "-e", "transformers", "-e", "llama-cpp")
    assert done.returncode == 1
    assert "can't run palaver-nano.gguf: that is a GGUF file" in done.stderr
    assert len(done.stdout.splitlines()) == 2

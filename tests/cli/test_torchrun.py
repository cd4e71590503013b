"""Under torchrun one process does the work, and starts the others itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.terminal import environment


def palaver(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "palaver", *args],
        env=environment(home, **env), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_first_process_shares_the_model_among_as_many(tmp_path):
    given = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2"}
    done = palaver(tmp_path, "config", "show", **given)
    assert done.returncode == 0
    assert "tensor_parallel = 2" in done.stdout
    assert "--tensor-parallel 2 does this without torchrun" in done.stderr


def test_the_others_end_at_once(tmp_path):
    done = palaver(tmp_path, "config", "show", TORCHELASTIC_RUN_ID="x", RANK="1", WORLD_SIZE="2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_torchrun_nothing_is_shared(tmp_path):
    done = palaver(tmp_path, "config", "show", RANK="1", WORLD_SIZE="2")
    assert "tensor_parallel = 2" not in done.stdout
    assert done.stderr == ""

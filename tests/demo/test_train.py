"""The trainer makes the model again from nothing: the same each time, and goes on where it was."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from palaver.demo.batches import LENGTHS


def train(folder: Path, steps: int, processes: int = 1, **keywords) -> subprocess.Popen[str]:
    """Start the trainer with few tokens a step."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "palaver.demo.train",
            str(folder),
            f"--steps={steps}",
            "--seed=5",
            f"--tokens={max(LENGTHS)}",
            f"--processes={processes}",
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        **keywords,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a run that goes well; return what it showed."""
    shown = process.communicate(timeout=200)[1]
    assert process.returncode == 0, shown
    return shown


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Two steps from nothing."""
    folder = tmp_path_factory.mktemp("run")
    shown = finished(train(folder, 2))
    assert "step 2" in shown
    assert "100.0 %" in shown
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the checkpoint's weights."""
    return torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


def test_the_same_seed_makes_the_same_model(run, tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((run / "tokenizer.json").read_bytes())
    finished(train(tmp_path, 2))
    first, second = weights(run), weights(tmp_path)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_goes_on_from_its_checkpoint(run) -> None:
    before = weights(run)
    shown = finished(train(run, 3, processes=2))
    assert "step 3" in shown
    assert "step 1 " not in shown
    assert not list(run.glob("meet-*"))
    after = weights(run)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_two_runs_in_one_folder_are_refused(run) -> None:
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = train(run, 4)
        assert f"another process trains in {run}" in process.communicate(timeout=100)[1]
    assert process.returncode == 2


def test_processes_end_with_the_one_that_started_them(run) -> None:
    process = train(run, 10_000, processes=2, start_new_session=True)
    parent = psutil.Process(process.pid)
    assert process.stderr
    while "step" not in process.stderr.readline():
        assert process.poll() is None
    workers = [one for one in parent.children() if "spawn_main" in " ".join(one.cmdline())]
    assert len(workers) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=100)
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert len(gone) == 2


@pytest.mark.parametrize("program", ["train", "export"])
def test_without_torch_it_says_what_to_install(program):
    code = f"import sys; sys.modules['torch'] = None; import palaver.demo.{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs torch" in done.stderr
    assert "[train]" in done.stderr
    assert "Traceback" not in done.stderr

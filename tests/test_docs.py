"""Every command in the guides runs, in order, in one fresh home."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))


def commands(text):
    """Return the lines of ```console blocks that begin with a dollar."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def shell(tmp_path):
    bin_ = str(Path(sys.executable).parent)
    env = os.environ | {
        "PALAVER_HOME": str(tmp_path / "home"),
        "PALAVER_THREADS": "1",
        "PATH": f"{bin_}:{os.environ['PATH']}",
    }

    def run(command):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=100,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
def test_guide_commands_run(guide, shell, tmp_path):
    text = guide.read_text(encoding="utf-8")
    for name, code in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", text, re.M | re.S):
        (tmp_path / name).write_text(code)
    for command in commands(text):
        done = shell(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, command


def test_guide_python_runs(shell, tmp_path):
    text = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text(block)
    done = shell("python example.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()

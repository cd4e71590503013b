"""The two commands of the README say in one line what is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "dirname", "cat", "touch", "env")


def fake_python(folder, version, venv):
    """Write a program that answers the launcher's questions as such a Python would."""
    path = folder / "python3"
    path.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f'  *"version_info <"*) exit {0 if version >= (3, 11) else 1} ;;\n'
        f'  *"import venv"*) exit {0 if venv else 1} ;;\n'
        f"  *print*) echo {version[0]}.{version[1]} ;;\n"
        "esac\n"
    )
    path.chmod(0o755)


@pytest.fixture
def run(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    root = tmp_path / "palaver"
    (root / "scripts").mkdir(parents=True)
    for name in ("palaver", "check", "scripts/find-python"):
        shutil.copy2(ROOT / name, root / name)
    (root / "pyproject.toml").touch()
    (root / "constraints.txt").touch()

    def run(name):
        env = {"PATH": str(tools)}
        return subprocess.run([root / name], env=env, capture_output=True, text=True, timeout=30)

    return tools, run


@pytest.mark.parametrize("name", ["palaver", "check"])
@pytest.mark.parametrize(
    ("version", "venv", "said"),
    [
        (None, False, "palaver needs Python 3.11 or newer"),
        ((3, 9), True, "python3 is 3.9"),
        ((3, 12), False, "python3.12-venv"),
    ],
)
def test_what_is_missing_is_said_in_one_line(run, name, version, venv, said):
    tools, start = run
    if version:
        fake_python(tools, version, venv)
    done = start(name)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_launchers_are_executable():
    for name in ("palaver", "check", ".ci/run", "scripts/find-python"):
        assert os.access(ROOT / name, os.X_OK)

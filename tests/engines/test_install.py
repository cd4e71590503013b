"""Messages of what is missing name the pip of the Python that runs, and the checkout's way."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import palaver
from palaver.core import install

ROOT = Path(__file__).parents[2]


def test_a_checkout_is_installed_again_with_the_extra():
    assert shlex.split(install.palaver("serve")) == [
        *(sys.executable, "-m", "pip", "install"),
        *("-c", f"{ROOT}/constraints.txt", "-e", f"{ROOT}[serve]"),
    ]


def test_an_installed_one_gets_the_extra_by_its_name(tmp_path):
    """As pip lays it out: the package alone, without the files beside it."""
    site = tmp_path / "a b" / "python3" / "site-packages"
    copied = site / "palaver"
    package = Path(palaver.__file__).parent
    copied.mkdir(parents=True)
    for part in ("__init__.py", "core"):
        source = package / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copied / part)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); sys.executable = '/a b/python'\n"
        "from palaver.core import install; print(install.__file__); print(install.palaver('mlx'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    where, command = done.stdout.splitlines()
    assert where.startswith(str(copied))
    assert shlex.split(command) == ["/a b/python", "-m", "pip", "install", "palaver[mlx]"]

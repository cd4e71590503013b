"""No escape comes out of the sandbox: as root and as an ordinary user, with and without bubblewrap.

What can't be tried here is skipped, with the reason. `python -m tests.escape.trial` says more.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from tests.escape.trial import ESCAPES

from palaver.tools.sandbox import bubblewrap

ROOT = Path(__file__).parents[2]
NOBODY = 65534
ENOUGH = 100

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def interpreter():
    """Return a Python that an ordinary user may run and that has what palaver needs."""
    path = os.pathsep.join([str(ROOT / "src"), *(p for p in sys.path if "site-packages" in p)])
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        argv = [program, "-c", "import msgspec, tests.escape.trial"]
        try:
            done = subprocess.run(argv, cwd=ROOT, env=environment, user=NOBODY, group=NOBODY,
                                  extra_groups=[], capture_output=True)  # fmt: skip
        except PermissionError:
            continue
        if done.returncode == 0:
            return program, environment
    pytest.skip(f"an ordinary user can't run a {version} with palaver's packages here")


@pytest.fixture
def place():
    """A folder that the sandbox shows: not in /tmp."""
    for parent in ("/srv", "/opt", Path.home()):
        if os.access(parent, os.W_OK):
            folder = Path(tempfile.mkdtemp(prefix="palaver-escape-", dir=parent))
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
            return
    pytest.skip("no folder outside of /tmp can be written")


def trial(who, place, kinds):
    """Run the trial as a user; return its lines."""
    argv, more = [sys.executable], {"env": dict(os.environ)}
    if who == "root" and os.geteuid() != 0:
        pytest.skip("not root")
    if who == "user" and os.geteuid() == 0:
        program, environment = interpreter()
        os.chown(place, NOBODY, NOBODY)
        argv = [program]
        more = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "env": environment}
    argv += ["-m", "tests.escape.trial", "--root", str(place)]
    argv += [f"--kind={kind}" for kind in kinds]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=1500, **more)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_there_are_enough_escapes_and_each_has_its_own_name():
    names = [escape.name for escape in ESCAPES]
    assert len(set(names)) == len(names) >= ENOUGH


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("who", ["root", "user"])
def test_nothing_comes_out(who, place):
    kinds = ["bubblewrap", "namespaces"] if bubblewrap.find() else ["namespaces"]
    lines = trial(who, place, kinds)
    assert [(name, kind) for name, kind, verdict in lines if verdict == "ESCAPED"] == []
    untried = {"bubblewrap": "is not installed"} if len(kinds) == 1 else {}
    for kind in kinds:
        counts = Counter(verdict for _, of, verdict in lines if of == kind)
        if counts["refused"] and not counts["withstood"]:
            untried[kind] = f"refused to run: {counts['refused']} escapes were not tried"
            continue
        assert not counts["refused"]
        assert counts["withstood"] >= ENOUGH
    if untried:
        pytest.skip(f"as {who}: {untried}; with what is left of {kinds} nothing came out")

"""`palaver patch` as a user runs it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PALAVER = str(Path(sys.executable).with_name("palaver"))
PATCH = (
    "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+two\n*** Add File: b\n+b\n*** End Patch\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a.txt").write_text("one\n")
    return tmp_path / "work"


def run(folder, *args, given=""):
    return subprocess.run([PALAVER, "patch", *args], cwd=folder, input=given, text=True,
                          capture_output=True, timeout=60)  # fmt: skip


def test_a_piped_patch_is_applied_in_the_current_folder(folder):
    done = run(folder, given=PATCH)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Done:\nM a.txt\nA b\n"
    assert (folder / "a.txt").read_text() == "two\n"
    assert (folder / "b").read_text() == "b\n"


def test_a_patch_in_a_file_is_applied(folder):
    (folder.parent / "p").write_text(PATCH)
    assert run(folder, "../p").returncode == 0
    assert (folder / "a.txt").read_text() == "two\n"
    assert run(folder, "not-there").returncode == 2


@pytest.mark.parametrize(("patch", "said"), [
    (PATCH.replace("-one", "-three"), "a.txt: hunk 1 (patch line 3)"),
    (PATCH.replace("File: b", "File: ../b"), "../b: it lies outside"),
    (PATCH[:60], "cut off"),
    ("", "first line"),
])  # fmt: skip
def test_a_patch_that_does_not_apply_ends_with_1_and_says_why(folder, patch, said):
    done = run(folder, given=patch)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("palaver: ")
    assert said in done.stderr
    assert "No file was changed" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "a.txt").read_text() == "one\n"
    assert [path.name for path in folder.iterdir()] == ["a.txt"]


def test_what_is_no_text_is_refused(folder):
    done = subprocess.run([PALAVER, "patch"], cwd=folder, input=b"\xff", capture_output=True)
    assert done.returncode == 1
    assert b"not UTF-8" in done.stderr


def test_a_dry_run_shows_the_diff_and_changes_nothing(folder):
    done = run(folder, "--dry-run", given=PATCH)
    assert done.returncode == 0
    assert done.stdout == (
        "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"
        "--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+b\n"
    )
    assert done.stderr == "M a.txt\nA b\n"
    assert [path.name for path in folder.iterdir()] == ["a.txt"]


def test_the_diff_is_one_that_patch_understands(folder):
    (folder / "a.txt").write_text("one\nlast")
    diff = run(folder, "--dry-run", given=PATCH).stdout
    subprocess.run(["git", "apply", "-"], cwd=folder, input=diff, text=True, check=True)
    assert (folder / "a.txt").read_text() == "two\nlast"


def test_on_a_terminal_the_diff_is_coloured_and_escaped(folder):
    (folder / "p").write_text(PATCH.replace("+two", "+two\x1b[2J"))
    outer, inner = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    subprocess.run([PALAVER, "patch", "--dry-run", "p"], cwd=folder, stdin=inner, stdout=inner,
                   stderr=subprocess.DEVNULL, env=env, check=True)  # fmt: skip
    os.close(inner)
    shown = os.read(outer, 65536).decode()
    os.close(outer)
    assert "\x1b[31m-one\x1b[0m" in shown
    assert "\x1b[32m+two\\x1b[2J\x1b[0m" in shown


def test_help_says_what_it_does(folder):
    done = run(folder, "--help")
    assert done.returncode == 0
    assert "--dry-run" in done.stdout
    assert "*** Begin Patch" in done.stdout

"""What a program in the sandbox sees of the files, of the environment, and macOS's profile."""

import os
import tempfile
from pathlib import Path

import pytest

from palaver.core.errors import UserError
from palaver.tools.sandbox import seatbelt
from palaver.tools.sandbox.environment import allowed
from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.sandbox import open_sandbox
from palaver.tools.sandbox.view import view, writable


@pytest.fixture
def home():
    """A home outside of what the sandbox empties."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        yield Path(os.path.realpath(folder))


def seen(policy, home):
    return {path: kind for kind, path in view(policy, home)}


def test_secrets_are_hidden_and_the_folder_is_shared(home):
    (home / ".ssh").mkdir()
    (home / ".netrc").touch()
    (home / "work/.git").mkdir(parents=True)
    (home / "work/.env").touch()
    (home / "work/.env.example").touch()
    (home / "data").mkdir()
    found = seen(Policy(home / "work", hidden=(home / "data",)), home)
    assert found["/tmp"] == "empty"
    assert found[f"{home}/.ssh"] == "hide"
    assert found[f"{home}/.netrc"] == "blank"
    assert found[f"{home}/data"] == "hide"
    assert found[f"{home}/work"] == "write"
    assert found[f"{home}/work/.git"] == "keep"
    assert found[f"{home}/work/.env"] == "blank"
    assert f"{home}/work/.env.example" not in found


def test_a_secret_behind_a_link_is_hidden_where_it_lies(home):
    (home / "dotfiles/ssh").mkdir(parents=True)
    (home / ".ssh").symlink_to("dotfiles/ssh")
    (home / "work").mkdir()
    assert seen(Policy(home / "work"), home)[f"{home}/dotfiles/ssh"] == "hide"


def test_parents_come_before_children(home):
    (home / "work/deep/.env").parent.mkdir(parents=True)
    (home / ".ssh").mkdir()
    found = [path for _, path in view(Policy(home / "work", writable=(home / "work/deep",)), home)]
    for at, path in enumerate(found):
        assert not any(later in Path(path).parents for later in map(Path, found[at + 1 :]))


def test_a_folder_in_tmp_is_seen_though_tmp_is_emptied(home, tmp_path):
    found = seen(Policy(tmp_path), home)
    assert found["/tmp"] == "empty"
    assert found[os.path.realpath(tmp_path)] == "write"


def test_a_folder_in_a_hidden_one_is_all_that_is_seen_of_it(home):
    (home / "data/work").mkdir(parents=True)
    found = seen(Policy(home / "data/work", hidden=(home / "data",)), home)
    assert found[f"{home}/data"] == "empty"
    assert found[f"{home}/data/work"] == "write"


def test_secrets_can_not_be_worked_in(home):
    (home / ".ssh").mkdir()
    with pytest.raises(UserError, match="holds secrets"):
        view(Policy(home / ".ssh"), home)
    with pytest.raises(UserError, match="no folder"):
        view(Policy(home / "gone"), home)


def test_a_home_can_be_read_and_not_written(home):
    (home / ".ssh").mkdir()
    for root in (home, home.parent, Path("/")):
        assert writable(Policy(root), home) == []
        assert seen(Policy(root), home)[f"{home}/.ssh"] == "hide"
    sandbox = open_sandbox(Policy(home), environment={"HOME": str(home)}, kind="namespaces")
    assert sandbox.describe().endswith("your home: it can't be written")


def test_only_what_is_on_the_list_is_in_the_environment(home):
    given = {
        "HOME": "/h", "LC_TIME": "C", "AWS_SECRET_ACCESS_KEY": "x", "LD_PRELOAD": "/x",
        "PYTHONPATH": "/x", "BASH_ENV": "/x", "GIT_DIR": "/x",
        "PATH": f"/usr/bin:.:{home}/bin::/tmp/b",
    }  # fmt: skip
    found = allowed(given, [home])
    assert found["PATH"] == "/usr/bin"
    assert found["HOME"] == "/h"
    assert found["LC_TIME"] == "C"
    assert set(found) == {"HOME", "LC_TIME", "PATH", "TMPDIR", "XDG_CACHE_HOME", "SHELL"}
    assert allowed({"PATH": f"{home}/bin"}, [home])["PATH"].startswith("/usr/local/sbin:")


def test_the_profile_for_macos_closes_after_it_has_opened(home):
    (home / ".ssh").mkdir()
    (home / 'a "b"/.git').mkdir(parents=True)
    work = home / 'a "b"'
    text = seatbelt.profile(Policy(work), home)
    lines = text.splitlines()
    assert lines[:2] == ["(version 1)", "(deny default)"]
    quoted = str(work).replace('"', '\\"')
    opened = lines.index(f'(allow file-write* (subpath "{quoted}"))')
    assert opened < lines.index(f'(deny file-write* (subpath "{quoted}/.git"))')
    assert lines.index("(allow file-read*)") < lines.index(
        f'(deny file-read* file-write* (subpath "{home}/.ssh"))'
    )
    assert lines[-1] == "(deny network*)"
    assert all(line.count("(") == line.count(")") for line in lines)
    network = seatbelt.profile(Policy(work, network=True), home)
    assert "(deny network*)" not in network
    assert "(allow network-outbound (remote ip))" in network

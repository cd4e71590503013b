"""What a program changed is seen by names, sizes and times, within a bound."""

from __future__ import annotations

import os

import pytest

from palaver.tools.changed import difference, look


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "c.txt").write_text("c")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text("x")
    return tmp_path


def changed(root, act) -> str:
    before = look(root)
    act()
    return difference(before, look(root))


def rename(root):
    (root / "a.txt").rename(root / "z.txt")


def same_size_and_time(root):
    path = root / "a.txt"
    found = path.stat()
    (root / "other").write_text("b")
    (root / "other").replace(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda root: None, ""),
        (lambda root: (root / "a.txt").read_text(), ""),
        (lambda root: (root / "a.txt").write_text("longer"), "a.txt"),
        (same_size_and_time, "a.txt"),
        (lambda root: (root / "a.txt").chmod(0o600), "a.txt"),
        (lambda root: (root / "a.txt").unlink(), "a.txt"),
        (rename, "a.txt, z.txt"),
        (lambda root: (root / "sub" / "deep" / "c.txt").unlink(), "sub/deep/c.txt"),
        (lambda root: (root / "sub" / "new").mkdir(), "sub/new/"),
        (lambda root: (root / ".git" / "index").write_text("longer"), ""),
        (lambda root: (root / ".palaver-1").write_text("ours"), ""),
        (
            lambda root: [(root / f"{n}").write_text("") for n in range(8)],
            "0, 1, 2, 3, 4 and 3 more",
        ),
    ],
)
def test_what_is_seen(root, act, found):
    assert changed(root, lambda: act(root)) == found


def test_a_folder_too_large_is_looked_at_from_the_top_and_says_so(root):
    for n in range(50):
        (root / "sub" / "deep" / str(n)).write_text("")
    before = look(root, 20)
    (root / "a.txt").write_text("longer")
    (root / "sub" / "deep" / "1").write_text("longer")
    assert difference(before, look(root, 20)).startswith("a.txt as far as was looked")


def test_no_link_is_followed(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (root / "link").symlink_to(outside)
    assert changed(root, lambda: (outside / "made").write_text("x")) == ""


def test_a_folder_that_is_gone_is_no_failure(root):
    assert look(root / "nowhere").folders == {}

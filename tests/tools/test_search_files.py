"""search_files, by ripgrep where there is one and by our own program."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from palaver.core.tool import ToolContext, ToolError
from palaver.tools import ignore, search_files
from palaver.tools.search_files import SearchFiles


@pytest.fixture(params=["ours", "ripgrep"], autouse=True)
def way(request, monkeypatch):
    if request.param == "ours":
        monkeypatch.setattr(search_files.shutil, "which", lambda *_given, **_more: None)
    elif not shutil.which("rg", path=search_files._PATH):
        pytest.skip("there is no ripgrep here")
    return request.param


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "ws"
    for path, text in {
        "a.txt": "needle one\nhay\n  Needle two\n",
        "src/deep/b.py": "x = 'needle'\n",
        "src/build/out.txt": "needle in build\n",
        "src/.gitignore": "build/\n*.log\n!keep.log\n",
        "src/x.log": "needle in log\n",
        "src/keep.log": "needle kept\n",
        ".hidden/c.txt": "needle hidden\n",
        "long.txt": "needle " + "x" * 5000 + "\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "binary").write_bytes(b"\0needle\n")
    (tmp_path / "secret").write_text("needle secret\n")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "away").symlink_to(tmp_path)
    return folder


def search(root: Path, pattern: str, seconds: float = 20.0, **more: str) -> str:
    ctx = ToolContext(root, lambda _text: None, {}.__getitem__)
    return asyncio.run(SearchFiles(seconds).call({"pattern": pattern, **more}, ctx))


def test_matches_are_named_by_path_and_line(root):
    found = search(root, "needle").split("\n")
    assert [line[:40] for line in found] == [
        "a.txt:1:needle one",
        "long.txt:1:" + "needle xxxxxxxxxxxxxxxxxxxxxxx"[:29],
        "src/deep/b.py:1:x = 'needle'",
        "src/keep.log:1:needle kept",
    ]
    assert len(found[1]) < 600
    assert search(root, r"(?i)needle\s+two$") == "a.txt:3:  Needle two"
    assert search(root, "needle", path="src/deep") == "src/deep/b.py:1:x = 'needle'"
    assert search(root, "needle", path="src/deep/b.py").strip() == "src/deep/b.py:1:x = 'needle'"
    assert search(root, "nothing at all") == "no matches"


def test_patterns_are_patterns_and_no_options(root):
    (root / "odd.txt").write_text("--files -e x\n")
    assert search(root, "--files") == "odd.txt:1:--files -e x"
    with pytest.raises(ToolError, match="pattern is empty"):
        search(root, "")


def test_nothing_outside_is_searched(root):
    for path in ("..", "away", "link", "/etc"):
        with pytest.raises(ToolError, match=r"outside|symbolic link"):
            search(root, "needle", path=path)


def test_a_pattern_that_takes_for_ever_is_ended(root, way):
    if way == "ripgrep":
        pytest.skip("its patterns take linear time")
    (root / "a.txt").write_text("a" * 60 + "\n")
    with pytest.raises(ToolError, match="timed out"):
        search(root, "(a+)+$b", seconds=1.0)


def test_what_holds_secrets_is_left_out_unless_it_is_named(root):
    for path in ("src/server.key", "Secrets.json", "keyrings/x", "src/id_rsa"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("needle password\n")
    (root / "src" / "id_rsa.pub").write_text("needle public\n")
    assert "password" not in search(root, "needle")
    assert search(root, "needle password", path="src") == "no matches"
    assert search(root, "public") == "src/id_rsa.pub:1:needle public"
    named = search(root, "needle", path="src/server.key")  # the user is asked about that
    assert named.strip() == "src/server.key:1:needle password"


def test_more_than_can_be_told_is_cut_at_a_line(root):
    (root / "many.txt").write_text("needle\n" * 200_000)
    found = search(root, "^needle$")
    assert found.endswith("[more was found]")
    assert found.split("\n")[-2].endswith(":needle")


@pytest.mark.parametrize(
    ("rules", "path", "left_out"),
    [
        ("*.log", "x.log", True),
        ("*.log", "a/b/x.log", True),
        ("/x", "a/x", False),
        ("a/x", "a/x", True),
        ("a/x", "b/a/x", False),
        ("**/x", "b/a/x", True),
        ("a/**", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("?.txt", "ab.txt", False),
        ("# c\n\\#x", "#x", True),
        ("*\n!keep", "keep", False),
        ("build/", "build", False),  # a file of that name
        ("x  ", "x", True),
        ("[z-a]", "z", False),
    ],
)
def test_ignore_files(rules, path, left_out):
    assert ignore.ignored([("", ignore.patterns(rules))], path, folder=False) is left_out

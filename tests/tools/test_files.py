"""Tools open files beneath their folder and through no symbolic link, by either way."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.core.tool import ToolContext, ToolError
from palaver.tools import files
from palaver.tools.list_files import TOOL as LIST
from palaver.tools.read_file import MOST
from palaver.tools.read_file import TOOL as READ


@pytest.fixture(params=["openat2", "walk"], autouse=True)
def way(request, monkeypatch):
    if request.param == "walk":
        monkeypatch.setattr(files, "_openat2", lambda *_given: None)
    return request.param


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "ws"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "sub" / "b.txt").write_text("b")
    (tmp_path / "ws-evil").mkdir()
    (tmp_path / "ws-evil" / "secret").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    return folder


def context(root: Path, whole: dict[str, str] | None = None) -> ToolContext:
    return ToolContext(root, lambda _text: None, (whole or {}).__getitem__)


def call(tool: Any, root: Path, **arguments: Any) -> str:
    return asyncio.run(tool.call(arguments, context(root)))


def test_openat2_is_what_this_machine_has(way, root):
    if way == "openat2":
        with files._opened(os.open(root, os.O_RDONLY)) as top:
            assert files._openat2(top, "a.txt", os.O_RDONLY, 0) is not None


def test_reading_what_is_there(root):
    assert call(READ, root, path="a.txt") == "one\ntwo\nthree\n"
    assert call(READ, root, path="./sub/../a.txt", start=2, end=2) == "two\n"
    assert call(READ, root, path=str(root / "a.txt"), start=3) == "three\n"
    assert call(LIST, root) == "a.txt\nsub/"
    assert call(LIST, root, path="sub") == "b.txt\ndeep/"
    assert call(LIST, root, path="sub/deep/") == "(empty)"


def test_a_listing_leaves_out_what_ignore_files_do_and_says_so(root):
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "sub" / ".ignore").write_text("!kept.log\nb.txt\n")
    (root / "build").mkdir()
    for name in ("a.log", "sub/kept.log", "sub/c.log", "build/out"):
        (root / name).write_text("x")
    assert call(LIST, root) == ".gitignore\na.txt\nsub/\n(2 more that ignore files leave out)"
    below = ".ignore\ndeep/\nkept.log\n(2 more that ignore files leave out)"
    assert call(LIST, root, path="sub") == below
    assert call(LIST, root, path="build") == "out"  # asked for by name


@pytest.mark.parametrize(
    "path",
    ["../secret", "sub/../../secret", "/etc/passwd", "{root}-evil/secret", "{root}/../secret",
     "..", "/", "sub/../..", "../ws-evil/secret"],
)  # fmt: skip
def test_paths_that_lead_out(root, path):
    path = path.format(root=root)
    for tool in (READ, LIST):
        with pytest.raises(ToolError, match="is outside of the folder"):
            call(tool, root, path=path)
    with pytest.raises(ToolError, match=r"outside of|folder itself"):
        files.write(root, path, b"x")
    assert (root.parent / "secret").read_text() == "secret"


LINKS = {
    "to a file outside": lambda root: ("link", root.parent / "secret"),
    "to a file inside": lambda root: ("link", Path("a.txt")),
    "to nothing": lambda root: ("link", Path("missing")),
    "a magic link": lambda root: ("link", Path("/proc/self/root/etc/passwd")),
    "a folder on the way": lambda root: ("sub/away", root.parent),
}


@pytest.mark.parametrize("kind", LINKS)
def test_symbolic_links_are_not_followed(root, kind):
    name, target = LINKS[kind](root)
    (root / name).symlink_to(target)
    path = f"{name}/secret" if kind == "a folder on the way" else name
    with pytest.raises(ToolError, match="symbolic link"):
        call(READ, root, path=path)
    with pytest.raises(ToolError, match="symbolic link"):
        files.write(root, path, b"x")
    with pytest.raises(ToolError, match=r"symbolic link|is no folder"):
        call(LIST, root, path=name)
    assert (root.parent / "secret").read_text() == "secret"
    assert (root / name).is_symlink()
    assert f"{Path(name).name}" in call(LIST, root, path=str(Path(name).parent))


def test_a_root_that_is_a_link_itself_is_the_users_choice(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    assert call(READ, tmp_path / "alias", path="a.txt").startswith("one")


def test_a_swap_for_a_link_while_it_works_leads_nowhere(root, tmp_path):
    """The folder on the way is a link half of the time: nothing outside is read or written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("secret")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (root / "sub").rename(root / "kept")
            with suppress(FileExistsError):  # a write made the folder anew meanwhile
                (root / "sub").symlink_to(outside)
                (root / "sub").unlink()
            while (root / "kept").exists():
                shutil.rmtree(root / "sub", ignore_errors=True)
                with suppress(OSError):
                    (root / "kept").rename(root / "sub")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for number in range(400):
            try:
                seen.add(call(READ, root, path="sub/b.txt"))
                files.write(root, "sub/new.txt", str(number).encode())
            except ToolError:
                seen.add("refused")
    finally:
        over.set()
        thread.join()
    assert "secret" not in seen
    assert sorted(p.name for p in outside.iterdir()) == ["b.txt"]


def test_what_is_no_text_file_is_said_to_be_none(root):
    os.mkfifo(root / "pipe")
    (root / "binary").write_bytes(b"\x7fELF\0\0")
    (root / "latin").write_bytes(b"caf\xe9")
    (root / "empty").write_text("")
    for path, what in [
        ("pipe", "no regular file"),
        ("sub", "is a folder"),
        ("binary", "is binary"),
        ("latin", "is no UTF-8 text"),
        ("nothing", "no such file or folder: nothing"),
        ("a.txt/x", "leads through a file"),
        ("n" * 300, "too long"),
        ("a\0b", "NUL"),
    ]:
        with pytest.raises(ToolError, match=what):
            call(READ, root, path=path)
    assert call(READ, root, path="empty") == "(empty)"


def test_lines_of_files_of_any_size(root):
    (root / "large").write_text("".join(f"line {n}\n" for n in range(1, 200_001)))
    with pytest.raises(ToolError, match="bytes, more than"):
        call(READ, root, path="large")
    assert call(READ, root, path="large", start=199_999) == "line 199999\nline 200000\n"
    with pytest.raises(ToolError, match="ask for fewer"):
        call(READ, root, path="large", start=1)
    with pytest.raises(ToolError, match="has 200000 lines"):
        call(READ, root, path="large", start=200_001)
    with pytest.raises(ToolError, match="end 1 is before start 2"):
        call(READ, root, path="a.txt", start=2, end=1)
    (root / "one line").write_bytes(b"x" * (3 * MOST))
    with pytest.raises(ToolError, match="ask for fewer"):
        call(READ, root, path="one line", start=1)


def test_a_result_that_was_cut_is_read_on_by_its_handle(root):
    ctx = context(root, {"1": "a\nb\nc\nd"})
    read = lambda **given: asyncio.run(READ.call(given, ctx))  # noqa: E731
    assert read(path="result:1", start=2, end=3) == "b\nc"
    with pytest.raises(ToolError, match="no result was cut that is called result:2"):
        read(path="result:2")


def test_writing_keeps_mode_and_owner_and_makes_folders(root):
    files.write(root, "new/folder/x.txt", b"made")
    assert (root / "new/folder/x.txt").read_bytes() == b"made"
    assert not stat.S_IMODE((root / "new/folder/x.txt").stat().st_mode) & 0o111
    script = root / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    if os.geteuid() == 0:
        os.chown(script, 12, 34)
    before = script.stat()
    files.write(root, "run.sh", b"new")
    after = script.stat()
    assert script.read_bytes() == b"new"
    assert [after.st_mode, after.st_uid, after.st_gid] == [
        before.st_mode, before.st_uid, before.st_gid,
    ]  # fmt: skip


def test_writing_to_what_is_no_file_changes_nothing(root):
    os.mkfifo(root / "pipe")
    for path, what in [("sub", "is a folder"), ("pipe", "no regular file"), ("", "folder itself")]:
        with pytest.raises(ToolError, match=what):
            files.write(root, path, b"x")
    with pytest.raises(ToolError, match=r"a file|no folder"):
        files.write(root, "a.txt/x", b"x")
    assert sorted(p.name for p in root.iterdir()) == ["a.txt", "pipe", "sub"]


def test_a_hard_link_outside_keeps_what_it_had(root, tmp_path):
    os.link(tmp_path / "secret", root / "hard")
    files.write(root, "hard", b"changed")
    assert (tmp_path / "secret").read_text() == "secret"


names = st.sampled_from(
    ["a.txt", "sub", "..", ".", "", "ws-evil", "secret", "deep", "x y", "\u202e"]
)


@given(st.lists(names, max_size=6), st.booleans())
def test_no_path_leads_out(parts, absolute):
    path = "/".join(parts)
    path = f"/ws/{path}" if absolute else path
    try:
        found = files.parts_of(Path("/ws"), path)
    except ToolError:
        return
    assert ".." not in found
    assert "" not in found
    assert os.path.normpath("/ws/" + "/".join(found)) == os.path.normpath(
        path if path.startswith("/") else f"/ws/{path}"
    )

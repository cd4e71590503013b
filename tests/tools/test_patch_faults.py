"""What must not go wrong with a patch: ways out, full disks, kills, other programs."""

import contextlib
import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from tests.tools import patch_trials

from palaver.tools.patch import PatchError, apply, plan, recover, unified
from palaver.tools.patch.restoring import locked


def wrapped(*body):
    return "\n".join(["*** Begin Patch", *body, "*** End Patch"])


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "dir").mkdir(parents=True)
    (folder / "a").write_text("a\n")
    (folder / "dir" / "b").write_text("b\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("a\n")
    (tmp_path / "root-evil").mkdir()
    return folder


HERE, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


TWO = wrapped("*** Update File: a", "@@", "-a", "+A", "*** Update File: dir/b", "@@", "-b", "+B",
              "*** Add File: new/deep/c", "+c", "*** Add File: d", "+d")  # fmt: skip


def assert_untouched(root):
    assert (root / "a").read_text() == "a\n"
    assert (root / "dir" / "b").read_text() == "b\n"
    assert names(root) == ["a", "dir", "dir/b"]


def test_trials():
    """A short form of `python -m tests.tools.patch_trials 10000`."""
    count = int(os.environ.get("PALAVER_PATCH_TRIALS", "200"))
    outcomes = patch_trials.run(count, first=1_000_000)
    assert sum(outcomes.values()) == count
    assert min(outcomes[o] for o in ("applied", "killed, undone", "refused")) > count // 20


@pytest.mark.parametrize("path", [
    "../outside/secret", "dir/../../outside/secret", "../root-evil/x", "..", ".", "dir/..",
    "/etc/hostname", "{box}/outside/secret", "{box}/root-evil/x", "{box}/root/../outside/secret",
    "{box}/root", "/{box}/root/a", ".git/hooks/x", "dir/.GIT/config", ".palaver-patch-1/x",
    "a\x1b[2Jb", "n" * 300, "d/" * 3000 + "x", "dir/b/below", "dir",
])  # fmt: skip
@pytest.mark.parametrize("body", ["*** Add File: {}\n+x", "*** Delete File: {}",
                                  "*** Update File: a\n*** Move to: {}"])  # fmt: skip
def test_what_is_no_file_beneath_the_folder_is_refused(root, path, body):
    before = patch_trials.snapshot(root.parent)
    path = path.replace("{box}", str(root.parent))
    with pytest.raises(PatchError):
        apply(plan(root, wrapped(body.format(path))))
    assert patch_trials.snapshot(root.parent) == before


def test_an_absolute_path_inside_is_one_inside(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    for folder in (root, tmp_path / "alias"):
        apply(plan(tmp_path / "alias", wrapped(f"*** Add File: {folder}/dir/../x", "+x")))
        assert (root / "x").read_text() == "x\n"
        (root / "x").unlink()


@pytest.mark.parametrize("section", [
    "*** Add File: link\n+x", "*** Update File: link\n@@\n-a\n+x", "*** Delete File: link",
    "*** Add File: out/x\n+x", "*** Update File: out/secret\n@@\n-a\n+x", "*** Add File: in/x\n+x",
    "*** Update File: a\n*** Move to: link", "*** Update File: a\n*** Move to: out/new",
    "*** Add File: hangs\n+x", "*** Update File: pipe\n@@\n-a\n+x", "*** Delete File: null",
])  # fmt: skip
def test_links_pipes_and_devices_are_refused(root, tmp_path, section):
    (root / "link").symlink_to(tmp_path / "outside" / "secret")
    (root / "hangs").symlink_to(tmp_path / "outside" / "not-there")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "in").symlink_to("dir")
    os.mkfifo(root / "pipe")
    (root / "null").symlink_to("/dev/null")
    before = patch_trials.snapshot(tmp_path)
    with pytest.raises(PatchError, match=r"link|pipe"):
        plan(root, wrapped(section))
    assert patch_trials.snapshot(tmp_path) == before


@pytest.mark.parametrize(("data", "said"), [
    (b"\0\1\2", "binary"), (b"caf\xe9\n", "byte 4"), ("a\n".encode("utf-16"), "binary|UTF-8"),
    (b"a\n" * 17_000_000, "larger than"),
])  # fmt: skip
def test_what_is_not_text_is_not_updated(root, data, said):
    (root / "a").write_bytes(data)
    with pytest.raises(PatchError, match=said):
        plan(root, wrapped("*** Update File: a", "@@", "-a", "+b"))


def test_a_binary_file_is_deleted_and_moved_whole(root):
    (root / "a").write_bytes(b"\0\xff")
    made = plan(root, wrapped("*** Update File: a", "*** Move to: b"))
    assert unified(made) == "rename from a\nrename to b\n"
    apply(made)
    assert (root / "b").read_bytes() == b"\0\xff"
    gone = plan(root, wrapped("*** Delete File: b"))
    assert unified(gone) == "Binary files a/b and /dev/null differ (2 -> 0 bytes)\n"
    apply(gone)
    assert names(root) == ["dir", "dir/b"]


def test_a_hard_link_to_a_file_outside_is_replaced_and_not_written_through(root, tmp_path):
    os.link(tmp_path / "outside" / "secret", root / "linked")
    apply(plan(root, wrapped("*** Update File: linked", "@@", "-a", "+x")))
    assert (root / "linked").read_text() == "x\n"
    assert (tmp_path / "outside" / "secret").read_text() == "a\n"


def test_a_file_that_changed_since_it_was_read_stops_all(root):
    made = plan(root, TWO)
    (root / "dir" / "b").write_text("other\n")
    with pytest.raises(PatchError, match="dir/b: it changed"):
        apply(made)
    assert (root / "a").read_text() == "a\n"
    assert names(root) == ["a", "dir", "dir/b"]


def test_a_file_that_came_meanwhile_is_not_overwritten(root):
    made = plan(root, TWO)
    (root / "d").write_text("theirs\n")
    with pytest.raises(PatchError, match="d: it changed"):
        apply(made)
    assert (root / "d").read_text() == "theirs\n"
    assert (root / "a").read_text() == "a\n"


def test_a_folder_swapped_for_a_link_at_any_moment_leads_nowhere(root, tmp_path):
    """Before each call of the system in turn, `dir` is exchanged with a link to the outside."""
    (root / "spare").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "b").write_text("b\n")
    one, other = bytes(root / "dir"), bytes(root / "spare")
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        pytest.skip("no two names can be exchanged here")
    outside = patch_trials.snapshot(tmp_path / "outside")
    refused = 0
    for call in range(1, 5000):
        made = plan(root, wrapped("*** Update File: a", "@@", "-a", "+A", "*** Update File: dir/b",
                                  "@@", "-b", "+B", "*** Add File: dir/new/c", "+c"))  # fmt: skip
        left = call

        def swap(_frame, event, called):
            nonlocal left
            left -= event == "c_call" and called.__name__ in patch_trials.CHANGES | {"stat"}
            if left == 0:
                sys.setprofile(None)
                assert libc.renameat2(HERE, one, HERE, other, EXCHANGE) == 0

        sys.setprofile(swap)
        with contextlib.suppress(PatchError):
            apply(made)
        sys.setprofile(None)
        assert patch_trials.snapshot(tmp_path / "outside") == outside
        if left > 0:
            break
        assert libc.renameat2(HERE, one, HERE, other, EXCHANGE) == 0
        recover(root)
        state = (root / "a").read_text() + (root / "dir" / "b").read_text()
        there = (root / "dir" / "new" / "c").exists()
        assert (state, there) in (("a\nb\n", False), ("A\nB\n", True))
        refused += not there
        if there:
            shutil.rmtree(root / "dir" / "new")
        (root / "a").write_text("a\n")
        (root / "dir" / "b").write_text("b\n")
    assert refused > 20


def limited(root, bytes_, text=TWO):
    """Apply a patch in a process whose files can't grow beyond `bytes_`; return its output."""
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from palaver.tools.patch import PatchError, apply, plan
        try:
            print(apply(plan(Path(sys.argv[1]), sys.stdin.read())))
        except PatchError as error:
            print(error)
            sys.exit(1)
    """)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))

    return subprocess.run([sys.executable, "-B", "-c", code, str(root)], input=text, text=True,
                          capture_output=True, preexec_fn=limit)  # fmt: skip


@pytest.mark.parametrize("bytes_", [0, 1, 2, 100])
def test_a_file_that_can_not_be_written_stops_all(root, bytes_):
    done = limited(root, bytes_)
    assert done.returncode == 1
    assert "no file was changed" in done.stdout
    assert "Traceback" not in done.stderr
    assert_untouched(root)


@contextlib.contextmanager
def mounted(folder, *options):
    """Mount a file system of its own there; skips where that can't be done."""
    mount = ["mount", "-t", "tmpfs", *options, "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("room", range(4096, 10 * 4096, 4096))
def test_a_full_disk_stops_all(tmp_path, room):
    with mounted(tmp_path, "-o", f"size={room},nr_inodes=30"):
        (tmp_path / "a").write_text("a\n")
        with pytest.raises(PatchError, match=os.strerror(errno.ENOSPC).lower()):
            apply(plan(tmp_path, wrapped("*** Update File: a", "@@", "-a", "+A",
                                         "*** Add File: new/b", "+" + "b" * 4000,
                                         "*** Add File: c", "+" + "c" * 33_000)))  # fmt: skip
        assert (tmp_path / "a").read_text() == "a\n"
        assert names(tmp_path) == ["a"]


def test_a_folder_on_another_file_system_stops_all(root):
    with mounted(root / "dir"):
        (root / "dir" / "b").write_text("b\n")
        with pytest.raises(PatchError, match="dir/b: it lies on another file system"):
            apply(plan(root, TWO))
        assert_untouched(root)
        apply(plan(root / "dir", wrapped("*** Delete File: b")))


def as_somebody_else(action):
    """Run `action` in a process that may not overrule modes; raise what it raised."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            action()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def open_to_all(root):
    for folder in (*root.parents, root, root / "dir"):
        if folder.stat().st_mode & 0o005 != 0o005 or folder in (root, root / "dir"):
            folder.chmod(0o777)
    for file in (root / "a", root / "dir" / "b"):
        file.chmod(0o666)


@pytest.mark.parametrize("shut", ["dir", "."])
def test_a_folder_that_can_not_be_written_to_stops_all(root, shut):
    open_to_all(root)
    (root / shut).chmod(0o555)

    def attempt():
        with pytest.raises(PatchError, match="permission denied"):
            apply(plan(root, TWO))

    as_somebody_else(attempt)
    (root / shut).chmod(0o777)
    assert_untouched(root)


def test_a_read_only_file_is_not_replaced(root):
    open_to_all(root)
    (root / "a").chmod(0o444)

    def attempt():
        with pytest.raises(PatchError, match="read-only"):
            plan(root, TWO)

    as_somebody_else(attempt)
    assert_untouched(root)


def test_killed_at_every_call_it_is_undone_or_done(root):
    """A SIGKILL before each call of the system in turn: every file is whole, then all is old or
    new."""
    undone = 0
    for call in range(1, 2000):
        made = plan(root, TWO)
        died = patch_trials.killed(made, call, patch_trials.CHANGES)
        assert (root / "a").read_text() in ("a\n", "A\n")
        assert (root / "dir" / "b").read_text() in ("b\n", "B\n")
        recover(root)
        if (root / "a").read_text() == "A\n":
            break
        undone += 1
        assert died
        assert_untouched(root)
    assert undone > 50
    assert names(root) == ["a", "d", "dir", "dir/b", "new", "new/deep", "new/deep/c"]
    assert (root / "dir" / "b").read_text() == "B\n"


def killed_half_way(root):
    """Leave a patch half applied."""
    for call in range(1, 2000):
        patch_trials.killed(plan(root, TWO), call, frozenset({"rename"}))
        if (root / "a").read_text() == "A\n":
            assert (root / "dir" / "b").read_text() == "b\n"
            return
    raise AssertionError("never half-way")


def test_the_next_patch_puts_back_what_a_killed_one_left(root):
    killed_half_way(root)
    made = plan(root, wrapped("*** Delete File: a"))
    assert_untouched(root)
    assert "put back a" in apply(made)


def test_what_was_written_since_is_not_put_back(root):
    killed_half_way(root)
    (root / "a").write_text("A, and the user's own\n")
    recover(root)
    assert (root / "a").read_text() == "A, and the user's own\n"
    assert names(root) == ["a", "dir", "dir/b"]


def test_a_journal_that_came_with_the_folder_does_nothing(root):
    killed_half_way(root)
    (staging,) = root.glob(".palaver-patch-*")
    copy = root / ".palaver-patch-copied"
    copy.mkdir(0o700)
    for file in staging.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    recover(root)
    assert [name for name in names(root) if "copied" not in name] == ["a", "dir", "dir/b"]
    before = patch_trials.snapshot(root)
    assert recover(root) == ()
    assert patch_trials.snapshot(root) == before


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"\xff",
    b'{"device": 0, "inode": 0, "folders": [], "steps": []}',
])  # fmt: skip
def test_a_broken_journal_does_no_harm(root, content):
    staging = root / ".palaver-patch-x"
    staging.mkdir(0o700)
    (staging / "journal").write_bytes(content)
    (staging / "theirs").write_text("kept\n")
    apply(plan(root, wrapped("*** Delete File: a")))
    assert (staging / "theirs").read_text() == "kept\n"
    assert not (root / "a").exists()


def test_two_patches_at_once_are_refused(root):
    made = plan(root, TWO)
    folder = os.open(root, os.O_RDONLY)
    try:
        with locked(folder), pytest.raises(PatchError, match="another patch"):
            apply(made)
    finally:
        os.close(folder)
    assert_untouched(root)
    apply(made)

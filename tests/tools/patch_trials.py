"""Generated patches, hostile ones too: nothing outside changes, nothing is half applied.

`python -m tests.tools.patch_trials 10000` runs that many and prints what came of them. A third of
the patches that apply are applied by a process that is killed (SIGKILL) at one of its system
calls; another part meets a file or folder that is exchanged between reading and writing.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from palaver.tools.patch import PatchError, Plan, apply, plan, recover, unified

WORDS = ["alpha", "beta", "gamma", "", "", "  indented", "\ttab", "def f():", "    pass",
         "}", "naïve – “quoted”", "trailing  ", "@@ odd", "*** End Patch", "+plus",
         "-minus"]  # fmt: skip
NAMES = ["a.txt", "b.txt", "dir/c.txt", "dir/deep/d.txt", "crlf.txt", "bare.txt", "empty.txt"]
ODD = ["binary.bin", "latin.txt", "readonly.txt", "pipe", "link.txt", "inner", "outer/secret.txt",
       "outer/new.txt", "dangling", "dir", "new.txt", "new/deep/er.txt", "a.txt/below",
       "linked.txt"]  # fmt: skip


def hostile(box: Path) -> list[str]:
    """Paths that lead, or seem to lead, out of box/root."""
    return [
        "../outside/secret.txt", "dir/../../outside/secret.txt", "../root-evil/x", "../new.txt",
        str(box / "outside" / "secret.txt"), str(box / "root-evil" / "x"), "/etc/passwd",
        str(box / "root" / ".." / "outside" / "secret.txt"), str(box / "root" / "a.txt"),
        "~/x", ".git/config", "dir/.GIT/hooks/x", ".", "./a.txt", "dir//c.txt", "a\x00b",
        "x" * 300, "/".join(["y"] * 3000), "/proc/self/cwd/a.txt", "inner/../a.txt",
        ".palaver-patch-0/x", "outer/../a.txt", "\x1b[2J", "//" + str(box)[1:] + "/root/a.txt",
    ]  # fmt: skip


def build(box: Path, rng: random.Random) -> None:
    """Make box/root with files of all kinds, and what must not change beside it."""
    root, outside = box / "root", box / "outside"
    (root / "dir" / "deep").mkdir(parents=True)
    for place in (outside, box / "root-evil"):
        place.mkdir()
    (outside / "secret.txt").write_bytes(b"alpha\nbeta\ngamma\n")
    (outside / "more").mkdir()
    for name in NAMES:
        lines = [rng.choice(WORDS) for _ in range(rng.randrange(1, 12))]
        (root / name).write_bytes("".join(f"{line}\n" for line in lines).encode())
    (root / "crlf.txt").write_bytes(b"alpha\r\nbeta\r\n\r\ngamma\r\n")
    (root / "bare.txt").write_bytes(b"alpha\nbeta")
    (root / "empty.txt").write_bytes(b"")
    (root / "binary.bin").write_bytes(b"\0\1alpha\n")
    (root / "latin.txt").write_bytes(b"caf\xe9\nalpha\n")
    (root / "readonly.txt").write_bytes(b"alpha\n")
    (root / "readonly.txt").chmod(0o444)
    (root / "a.txt").chmod(0o755)
    os.mkfifo(root / "pipe")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "outer").symlink_to(outside)
    (root / "inner").symlink_to("dir")
    (root / "dangling").symlink_to(outside / "made-by-following")
    os.link(outside / "secret.txt", root / "linked.txt")


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything beneath a folder: kind, mode, content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for where, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(where, name)
            status = path.lstat()
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                entry: tuple[object, ...] = ("link", str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                entry = ("file", mode, path.read_bytes())
            else:
                entry = (stat.S_IFMT(status.st_mode), mode)
            found[str(path.relative_to(folder))] = entry
    return found


def hunks(root: Path, path: str, rng: random.Random, *, tame: bool) -> list[str]:
    """Hunks from the file's own lines; not tame: spoilt, misplaced, from nothing."""
    try:
        here = (root / path).read_bytes() if (root / path).is_file() else b"alpha\n"
        text = here.decode()
    except (OSError, ValueError):
        text = "alpha\nbeta\n"
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    count = rng.choice([1, 1, 2, 3] if tame else [0, 1, 1, 2, 3])
    starts = [rng.randrange(len(lines)) for _ in range(count)]
    out: list[str] = []
    done = 0
    for start in sorted(starts) if tame else starts:
        run = lines[max(start, done) if tame else start :][: rng.randrange(1, 5)]
        done = max(start, done) + len(run)
        if not run:
            continue
        above = rng.choice(
            ["@@"] * 4 + [f"@@ {rng.choice(lines)}", "@@ not there", "@@ -1,2 +1,2 @@"]
        )
        out.append("@@" if tame else above)
        for line in run:
            spoilt = rng.choice([line] * 12 + [line + " ", line.strip(), "x" + line, line.upper()])
            out.append(rng.choice("  -") + (line if tame else spoilt))
            if rng.random() < 0.4:
                out.append("+" + rng.choice(WORDS))
        if not tame and rng.random() < 0.1:
            out.append("*** End of File")
        if not tame and rng.random() < 0.1:
            out.insert(rng.randrange(1, len(out) + 1), rng.choice(["", "junk", "@@", "*** Odd: x"]))
    return out


def section(box: Path, rng: random.Random, *, tame: bool) -> list[str]:
    """One section; its path is mostly a good one, if `tame` always."""
    root = box / "root"

    def path() -> str:
        return rng.choice(NAMES) if tame else rng.choice([*NAMES * 8, *ODD * 2, *hostile(box)])

    at = path()
    kind = rng.random()
    if kind < 0.25:
        return [f"*** Add File: {at}", *("+" + rng.choice(WORDS) for _ in range(rng.randrange(4)))]
    if kind < 0.4:
        return [f"*** Delete File: {at}"]
    out = [f"*** Update File: {at}"]
    if rng.random() < 0.25:
        out.append(f"*** Move to: {rng.choice(['new.txt', 'new/deep/er.txt', path()])}")
    try:
        return out + hunks(root, at, rng, tame=tame)
    except (OSError, ValueError):  # a path that no system takes
        return [*out, "@@", "-alpha"]


def patch(box: Path, rng: random.Random) -> str:
    """A patch of a few sections; four of ten are hostile, cut off, padded or garbled."""
    lines = ["*** Begin Patch"]
    tame = rng.random() < 0.6
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
        lines += section(box, rng, tame=tame)
    lines.append("*** End Patch")
    if tame:
        return "\n".join(lines)
    if rng.random() < 0.1:
        lines = [rng.choice(["", "", "  "]) + line for line in lines]
    text = rng.choice(["\n", "\n", "\n", "\n", "\r\n"]).join(lines) + rng.choice(["", "\n"])
    spoil = rng.random()
    if spoil < 0.04:
        text = text[: rng.randrange(len(text))]
    elif spoil < 0.08:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice("\r\n\t*+-@ \ud800é") + text[at + 1 :]
    elif spoil < 0.14:
        text = rng.choice([json.dumps({"patch": text}), json.dumps({"input": text}),
                           f"<<'EOF'\n{text}\nEOF\n", f"```\n{text}\n```"])  # fmt: skip
    return text


def exchange(box: Path, rng: random.Random) -> None:
    """What another program might do between reading and writing."""
    root = box / "root"
    match rng.randrange(4):
        case 0:
            shutil.rmtree(root / "dir")
            (root / "dir").symlink_to(box / "outside")
        case 1:
            (root / "a.txt").unlink()
            (root / "a.txt").symlink_to(box / "outside" / "secret.txt")
        case 2:
            (root / "b.txt").write_bytes(b"written meanwhile\n")
        case 3:
            (root / "new.txt").symlink_to(box / "outside" / "made-by-following")


CHANGES = frozenset(
    {
        "chmod",
        "close",
        "fchmod",
        "fsync",
        "link",
        "mkdir",
        "open",
        "rename",
        "rmdir",
        "unlink",
        "write",
    }
)


def killed(made: Plan, call: int, only: frozenset[str] = frozenset()) -> bool:
    """Apply in a process that kills itself before its `call`-th call into C (of those in `only`,
    if any are named there); tell if it died."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = call

    def count(_frame: object, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and (not only or called.__name__ in only):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    try:
        apply(made)
    finally:
        os._exit(0)


def expected(before: dict[str, tuple[object, ...]], made: Plan) -> dict[str, object]:
    """The files that the plan promises; modes of new files and folders aside."""
    files: dict[str, object] = {k: v[-1] for k, v in before.items() if v[0] in ("file", "link")}
    for change in made.changes:
        files.pop(change.path, None)
        if change.new is not None:
            files[change.path] = change.new
    return files


def files_of(now: dict[str, tuple[object, ...]]) -> dict[str, object]:
    return {k: v[-1] for k, v in now.items() if v[0] in ("file", "link")}


def trial(box: Path, seed: int) -> str:
    """Run one; return what came of it. Raises AssertionError where a promise is broken."""
    rng = random.Random(seed)
    build(box, rng)
    root = box / "root"
    text = patch(box, rng)
    before, outside = snapshot(root), (snapshot(box / "outside"), snapshot(box / "root-evil"))
    made = None
    try:
        made = plan(root, text)
        unified(made)
        assert snapshot(root) == before, "planning changed something"
        fate = rng.random()
        if fate < 0.35:
            outcome = after_a_kill(root, made, before, rng)
        else:
            if fate < 0.55:
                exchange(box, rng)
                before = snapshot(root)
            apply(made)
            outcome = "applied"
            assert files_of(snapshot(root)) == expected(before, made), "not what was planned"
    except PatchError:
        outcome = "refused" if made is None else "failed while applying"
        assert snapshot(root) == before, "half applied"
    assert (snapshot(box / "outside"), snapshot(box / "root-evil")) == outside, "written outside"
    assert {p.name for p in box.iterdir()} == {"root", "outside", "root-evil"}, "made outside"
    assert not [p for p in root.iterdir() if p.name.startswith(".palaver")], "left something"
    return outcome


def after_a_kill(
    root: Path, made: Plan, before: dict[str, tuple[object, ...]], rng: random.Random
) -> str:
    """Kill the process somewhere; each file is whole, and recovery makes it all or nothing."""
    died = killed(made, rng.randrange(1, 60 + 60 * len(made.changes)))
    whole = {c.path: {c.old, c.new} for c in made.changes}
    for path, contents in whole.items():
        there = root / path
        now = there.read_bytes() if there.is_file() else None
        assert now in contents, "a file is neither old nor new"
    recover(root)
    now_all = snapshot(root)
    if now_all == before:
        return "killed, undone" if died else "nothing to do"
    assert files_of(now_all) == expected(before, made), "half applied after a kill"
    return "killed, done" if died else "applied"


def run(count: int, first: int = 0) -> Counter[str]:
    """Run trials with the seeds from `first` on; return how many ended in which way."""
    outcomes: Counter[str] = Counter()
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    for seed in range(first, first + count):
        box = Path(tempfile.mkdtemp(dir=base))
        try:
            outcomes[trial(box, seed)] += 1
        except BaseException:
            sys.stderr.write(f"seed {seed}\n")
            raise
        finally:
            shutil.rmtree(box)
    return outcomes


if __name__ == "__main__":
    for outcome, times in sorted(run(int(sys.argv[1]), *map(int, sys.argv[2:3])).items()):
        print(f"{times:6} {outcome}")

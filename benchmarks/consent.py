"""Holds what consent calls safe against what bash really does with generated shell lines.

    python -m benchmarks.consent [--lines N] [--seed S] [--show]

Every line, called safe or not, is run by bash under strace: as an unprivileged user if started as
root, in namespaces of its own (no network), on a read-only system, in a throw-away folder, under
limits. What a line did is safe if it started only programs of the table of readers, opened no
file for writing but /dev/null, changed none, opened no network socket and read no file outside
the folder. Prints how many lines were called safe and were, how many asked; exits with 1 if one
was called safe that wasn't. 10,000 lines take about six minutes; `--show` prints what each did.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.consent_lines import make

from palaver.core.messages import ToolCall
from palaver.core.tool import Allow, ToolSpec
from palaver.tools.consent import Rules, State, decide
from palaver.tools.consent.programs import programs
from palaver.tools.consent.reading import _OWN, _VERSIONED

FULL = 10_000
PLACE = Path("/tmp")  # in the trial's namespace a file system of its own
ROOT = PLACE / "trial"
NOBODY = 65_534
SECONDS = 1.5  # of a line; what takes longer is killed, and what it did until then counts
READERS = {*programs(), *_OWN, *_VERSIONED, "bash"}
_HARMLESS = re.compile(r"/dev/(null|tty|stdout|stderr|stdin)|/proc/self/fd/.*|/dev/fd/.*")
_CALLS = (
    "execve,execveat,open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,"
    "mkdirat,rmdir,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat,chown,lchown,fchown,"
    "fchownat,truncate,ftruncate,utime,utimes,utimensat,futimesat,mknod,mknodat,setxattr,"
    "lsetxattr,fsetxattr,mount,umount2,settimeofday,clock_settime,sethostname,socket,kill"
)
_CALL = re.compile(r'^\d+ +(\w+)\((?:AT_FDCWD, |\d+, )?(?:"((?:[^"\\]|\\.)*)"\.*)?(.*)')


def called_safe(line: str) -> bool:
    """Say whether consent would let a line run unasked."""
    call = ToolCall("1", "shell", json.dumps({"command": line}))
    verdict = decide(call, ToolSpec("shell", "", {}), Rules("ask"), State(str(ROOT)))
    return isinstance(verdict, Allow)


def faults(log: str) -> list[str]:
    """Name what of a trace is not safe."""
    found = []
    for entry in log.splitlines():
        match = _CALL.match(entry)
        if match is None:
            continue
        name, path, rest = match[1], match[2] or "", match[3]
        if name.startswith("execve"):
            bad = Path(path).name not in READERS
        elif name.startswith("open"):
            writes = re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", rest)
            bad = bool(writes and not _HARMLESS.fullmatch(path)) or "outside/canary" in path
        elif name == "socket":
            bad = "AF_UNIX" not in entry
        else:
            bad = True
        if bad:
            found.append(f"{name} {path} {rest[:60]}".strip())
    return found


def furnish() -> None:
    """Make the folder that lines run in, anew: names that look like options lie in wait."""
    shutil.rmtree(ROOT, ignore_errors=True)
    (ROOT / "src").mkdir(parents=True)
    (ROOT / ".git").mkdir()
    texts = {"a.txt": "b\na\nfoo\n", "b.txt": "a\nc\n", "x y": "x\n", "data.json": '{"a": 1}\n',
             "list.csv": "a,b\n1,2\n", "src/main.py": "print('foo')\n", "src/util.py": "x = 1\n",
             "~": "", "2": "1\n", ".git/HEAD": "ref: refs/heads/main\n",
             ".git/config": "[core]\nfsmonitor = pwn\npager = pwn\n"}  # fmt: skip
    for name in (
        "-rf",
        "-delete",
        "--compress-program=pwn",
        "-opwned",
        "-ifoo",
        "-exec",
        "-l",
        "-C",
    ):
        texts[name] = "x\n"
    for name, text in texts.items():
        (ROOT / name).write_text(text)
    (ROOT / "pwn").write_text("#!/bin/sh\n")
    (ROOT / "pwn").chmod(0o755)
    for path in (ROOT, *ROOT.rglob("*")):
        os.chown(path, *_user())


def _user() -> tuple[int, int]:
    return (NOBODY, NOBODY) if os.environ.get("TRIAL_ROOT") else (os.getuid(), os.getgid())


def run(line: str, locale: str) -> list[str]:
    """Run a line; return what was not safe."""
    log = PLACE / "log" / "trace"
    log.parent.mkdir(exist_ok=True)
    os.chown(log.parent, *_user())
    log.unlink(missing_ok=True)
    argv = ["strace", "--seccomp-bpf", "-f", "-qq", "-s", "300", "-e", f"trace={_CALLS}",
            "-o", str(log), "bash", "--noprofile", "--norc", "-c", line]  # fmt: skip
    env = {"PATH": f"/usr/bin:/bin:{PLACE}/bin", "HOME": str(PLACE), "LC_ALL": locale}
    user: dict[str, object] = {}
    if os.environ.get("TRIAL_ROOT"):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    child = subprocess.Popen(  # type: ignore[call-overload]
        argv, cwd=ROOT, env=env, start_new_session=True, preexec_fn=_limit, **user,  # noqa: PLW1509 - there is one thread
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # all of this namespace but the first process, which we are
    child.wait()
    return faults(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (3, 3))


def inside() -> None:
    """Make the namespace's file systems, then run each line that comes in on standard input."""
    os.chdir("/")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(PLACE)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    PLACE.chmod(0o755)
    for name, text in (("bin/pwn", "#!/bin/sh\n"), ("outside/canary", "secret\n")):
        (PLACE / name).parent.mkdir()
        (PLACE / name).write_text(text)
        (PLACE / name).chmod(0o755)
    furnish()
    for given in sys.stdin:
        asked = json.loads(given)
        found = run(asked["line"], asked["locale"])
        print(json.dumps(found), flush=True)
        if found:
            furnish()


def start() -> subprocess.Popen[str]:
    """Start the process that runs lines; it and all that it starts end with ours."""
    argv = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child",
            "--mount-proc", sys.executable, "-m", "benchmarks.consent", "--inside"]  # fmt: skip
    env = dict(os.environ)
    if os.getuid() == 0:
        env["TRIAL_ROOT"] = "1"
    else:
        argv[1:1] = ["--user", "--map-root-user"]
    top = Path(__file__).parents[1]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=env, cwd=top)


def trial(count: int, seed: int, show: bool = False) -> tuple[dict[str, int], list[str]]:
    """Run `count` lines; return how many of each outcome, and the lines wrongly called safe."""
    rng = random.Random(seed)
    outcomes: collections.Counter[str] = collections.Counter()
    wrong = []
    with start() as runner:
        assert runner.stdin
        assert runner.stdout
        for _ in range(count):
            line = make(rng)
            safe = called_safe(line)
            if "\0" in line:
                continue
            locale = rng.choice(["C", "C.UTF-8"])
            runner.stdin.write(json.dumps({"line": line, "locale": locale}) + "\n")
            runner.stdin.flush()
            found = json.loads(runner.stdout.readline())
            outcome = f"{'called safe' if safe else 'asked'}, was {'not ' if found else ''}safe"
            outcomes[outcome] += 1
            if safe and found:
                wrong.append(f"{line!r}: {found[:3]}")
            if show:
                print(f"{outcome}: {line!r} {found[:2]}")
        runner.stdin.close()
    return dict(outcomes), wrong


def main() -> int:
    """Run the trial and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=FULL)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        inside()
        return 0
    began = time.monotonic()
    outcomes, wrong = trial(asked.lines, asked.seed, asked.show)
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:6,} {outcome}")
    print(f"{sum(outcomes.values()):6,} lines, seed {asked.seed}, {time.monotonic() - began:.0f} s")
    for line in wrong:
        print(f"WRONG {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

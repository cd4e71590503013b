"""A place to escape from: a workspace, what lies beside it, a victim, and ears on every road out.

All of it belongs to the user who tries. It stands in a folder that the sandbox does not empty,
so that nothing is withstood only because it lay in /tmp.
"""

import contextlib
import ctypes
import os
import pty
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_VICTIM = """
import ctypes, pathlib, sys, time
held = ctypes.create_string_buffer(pathlib.Path(sys.argv[2]).read_bytes())
where = pathlib.Path(sys.argv[1])
where.with_suffix(".part").write_text(str(ctypes.addressof(held)))
where.with_suffix(".part").rename(where)
time.sleep(600)
"""


class Ears:
    """Listens on every road out; `heard` is all that came."""

    def __init__(self, folder):
        self.heard = b""
        self._kept = []
        self.folder = folder
        self.in_tmp = Path("/tmp", f"palaver-escape-{os.getpid()}.sock")
        self.abstract = f"palaver-escape-{os.getpid()}"
        self.tcp = self._stream(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
        self.tcp6 = self._stream(socket.AF_INET6, ("::1", 0)).getsockname()[1]
        self._stream(socket.AF_UNIX, str(folder / "stream"))
        self._stream(socket.AF_UNIX, str(self.in_tmp))
        self._stream(socket.AF_UNIX, "\0" + self.abstract)
        self.udp = self._datagrams(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
        self._datagrams(socket.AF_UNIX, str(folder / "dgram"))
        os.mkfifo(folder / "fifo")
        self._file(os.open(folder / "fifo", os.O_RDWR))
        master, slave = pty.openpty()
        self.terminal = os.ttyname(slave)
        self._slave = slave
        self._file(master)
        self._file(slave)

    def _stream(self, family, address):
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen(20)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener):
        while True:
            threading.Thread(target=self._drain, args=(listener.accept()[0],), daemon=True).start()

    def _drain(self, connection):
        with connection:
            while data := connection.recv(4096):
                self.heard += data

    def _datagrams(self, family, address):
        ear = socket.socket(family, socket.SOCK_DGRAM)
        ear.bind(address)
        self._kept.append(ear)
        self._file(ear.fileno())
        return ear

    def _file(self, file):
        def follow():
            while True:
                data = os.read(file, 4096)
                self.heard += data

        threading.Thread(target=follow, daemon=True).start()


class Arena:
    """One try's place; `token` and `canary` are new for each."""

    def __init__(self, root, ears, *, victim):
        """`victim`: start a process that may be attacked."""
        self.root, self.ears = root, ears
        self.token, self.canary = secrets.token_hex(8), os.environ["CANARY"]
        self.sleep = f"{60 + secrets.randbelow(10**9) / 1e9:.9f}"
        base = Path(tempfile.mkdtemp(prefix="arena-", dir=root))
        self.ws, self.outside = base / "ws", base / "outside"
        self.home, self.hidden = base / "home", base / "hidden"
        self.address = base / "address"
        self.number = 1_000_000 + secrets.randbelow(1_000_000)
        self._files()
        self._shared_memory()
        self.store = os.open(self.hidden / "palaver.db", os.O_RDONLY)
        os.set_inheritable(self.store, True)
        self.victim = self._start_victim() if victim else None
        self.memory = -1
        os.chdir(self.ws)
        self.kept = {name: Path(self.facts()[name]) for name in ("sysctl", "sysfs")}
        self.settings = self._settings()
        self.before = self._state()

    def _files(self):
        for folder in (self.ws / ".git/hooks", self.outside / "empty", self.outside / "dotfiles",
                       self.home / ".ssh", self.home / ".aws", self.hidden):  # fmt: skip
            folder.mkdir(parents=True)
        (self.outside.parent / "work").mkdir()
        for path in (self.home / ".ssh/id", self.home / ".aws/credentials",
                     self.outside / "dotfiles/netrc", self.hidden / "palaver.db",
                     self.ws / ".env", self.ws / ".env.local"):  # fmt: skip
            path.write_text(self.canary)
        (self.home / ".netrc").symlink_to(self.outside / "dotfiles/netrc")
        (self.ws / ".git/config").write_text("[core]\n")
        (self.ws / ".git/hooks/sample").write_text("true\n")
        (self.home / ".bashrc").write_text("true\n")
        (self.outside / "victim").write_text("untouched")
        os.setxattr(self.outside / "victim", "user.old", b"x")
        self.tmp = Path(f"/tmp/palaver-escape-{os.getpid()}")
        self.shm_file = Path(f"/dev/shm/palaver-escape-{os.getpid()}")
        self.tmp.write_text(self.canary)
        self.shm_file.write_text(self.canary)

    def _shared_memory(self):
        _libc.shmat.restype = ctypes.c_void_p
        self.shm = _libc.shmget(0, 4096, 0o1600)
        ctypes.memmove(_libc.shmat(self.shm, None, 0), self.canary.encode(), len(self.canary))
        self.queue = _libc.msgget(0, 0o1600)
        message = (1).to_bytes(8, sys.byteorder) + self.canary.encode()
        _libc.msgsnd(self.queue, message, len(self.canary), 0)
        self.mq = f"/palaver-escape-{os.getpid()}"
        create = os.O_CREAT | os.O_RDWR | os.O_NONBLOCK
        self._mq = _libc.mq_open(self.mq.encode(), create, 0o600, None)
        _libc.mq_send(self._mq, self.canary.encode(), len(self.canary), 0)
        add_key = 217 if os.uname().machine == "aarch64" else 248
        _libc.syscall(add_key, b"user", b"palaver-escape", self.canary.encode(), 24, -4)

    def _start_victim(self):
        address = self.address
        held = self.outside.parent / "held"
        held.write_text(self.canary)
        victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _VICTIM, address, held, "--key", self.canary],
            env={"CANARY": self.canary}, start_new_session=True,
        )  # fmt: skip
        while not address.exists():
            time.sleep(0.002)
        held.unlink()
        return victim

    def facts(self):
        """Return what the code of an escape is told."""
        return {
            "ws": str(self.ws), "outside": str(self.outside), "home": str(self.home),
            "hidden": str(self.hidden), "root": str(self.root), "token": self.token,
            "harness": os.getpid(), "number": self.number, "address": str(self.address),
            "victim": self.victim.pid if self.victim else -2,
            "sleep": self.sleep, "tcp": self.ears.tcp, "tcp6": self.ears.tcp6,
            "udp": self.ears.udp, "stream": str(self.ears.folder / "stream"),
            "dgram": str(self.ears.folder / "dgram"), "abstract": self.ears.abstract,
            "stream_in_tmp": str(self.ears.in_tmp), "terminal": self.ears.terminal,
            "fifo": str(self.ears.folder / "fifo"), "in_tmp": str(self.tmp),
            "in_shm": str(self.shm_file), "shm": self.shm, "queue": self.queue, "mq": self.mq,
            "sysctl": "/proc/sys/fs/lease-break-time",
            "sysfs": "/sys/kernel/mm/ksm/sleep_millisecs",
            "cgroup": f"/sys/fs/cgroup/{self._hierarchy()}palaver-escape-{os.getpid()}",
        }  # fmt: skip

    @staticmethod
    def _hierarchy():
        return "pids/" if Path("/sys/fs/cgroup/pids").is_dir() else ""

    def _settings(self):
        return {name: p.read_text() for name, p in self.kept.items() if p.exists()}

    def _changed(self):
        """Say whether a setting of the kernel is what this try makes of it."""
        made = Path(self.facts()["cgroup"]).exists()
        return made or any(text.strip() == str(self.number) for text in self._settings().values())

    def _state(self):
        """Return all that must stay as it is: names, kinds, owners, times, contents, attributes."""
        found = {}
        for top in (self.outside, self.home, self.hidden, self.ws / ".git", self.ws / ".env"):
            for path in [top, *(sorted(top.rglob("*")) if top.is_dir() else [])]:
                if not path.exists() and not path.is_symlink():
                    found[path] = None
                    continue
                s = path.lstat()
                whole = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                attributes = os.listxattr(path, follow_symlinks=False)
                found[path] = (s.st_mode, s.st_uid, s.st_gid, s.st_nlink, s.st_mtime_ns,
                               s.st_ctime_ns, whole, attributes)  # fmt: skip
        return found

    def escaped(self, shows, output):
        """Say whether a try has come out, by what it shows."""
        return getattr(self, f"_{shows}")(output)

    def _outside(self, _):
        return self._state() != self.before or self._changed()

    def _secret(self, output):
        return self.canary in output

    def _token(self, output):
        return self.token in output

    def _heard(self, _):
        token, end = self.token.encode(), time.monotonic() + 0.3
        while token not in self.ears.heard and time.monotonic() < end:
            time.sleep(0.01)
        return token in self.ears.heard or self._queued()

    def _queued(self):
        buffer = ctypes.create_string_buffer(128)
        return _libc.msgrcv(self.queue, buffer, 100, 2, 0o4000) >= 0

    def _victim(self, _):
        return self.before_victim != self._victim_state()

    def _victim_state(self):
        pid = self.victim.pid
        if self.victim.poll() is not None:
            return "dead"
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        held = b""
        if self.memory >= 0:
            held = os.pread(self.memory, 24, int(self.address.read_text()))
        return (
            fields[0] == "T", os.getpriority(os.PRIO_PROCESS, pid), os.sched_getscheduler(pid),
            os.sched_getaffinity(pid), Path(f"/proc/{pid}/limits").read_text(),
            Path(f"/proc/{pid}/oom_score_adj").read_text(), held,
        )  # fmt: skip

    def watch_victim(self):
        """Remember how the victim is."""
        if not self.victim:
            return
        with contextlib.suppress(OSError):
            self.memory = os.open(f"/proc/{self.victim.pid}/mem", os.O_RDONLY)
        self.before_victim = self._victim_state()

    def _alive(self, _):
        time.sleep(0.5)  # a daemon may only just be starting
        end = time.monotonic() + 2
        while sleepers(self.sleep):
            if time.monotonic() > end:
                return True
            time.sleep(0.05)
        return False

    def _setid(self, _):
        return any(p.lstat().st_mode & 0o6000 for p in self.ws.rglob("*") if not p.is_symlink())

    def close(self):
        """Take everything away again."""
        for pid in sleepers(self.sleep):
            os.kill(pid, 9)
        if self.victim:
            self.victim.kill()
            self.victim.wait()
        os.close(self.store)
        if self.memory >= 0:
            os.close(self.memory)
        for name, path in self.kept.items():
            if name in self.settings and path.read_text().strip() == str(self.number):
                path.write_text(self.settings[name])
        if (group := Path(self.facts()["cgroup"])).exists():
            group.rmdir()
        _libc.shmctl(self.shm, 0, None)
        _libc.msgctl(self.queue, 0, None)
        _libc.mq_close(self._mq)
        _libc.mq_unlink(self.mq.encode())
        os.chdir(self.root)
        shutil.rmtree(self.outside.parent, ignore_errors=True)
        self.tmp.unlink(missing_ok=True)
        self.shm_file.unlink(missing_ok=True)


def sleepers(seconds):
    """Return the processes that sleep for just so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found

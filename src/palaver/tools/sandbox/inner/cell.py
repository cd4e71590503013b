"""The first process around a command: it confines itself, starts the command, ends all of it.

In its own pid namespace it is process 1: nothing inside can kill, stop or trace it, and when it
ends the kernel ends everything that was ever started inside. It ends when the command does, and
when the control socket closes, that is with palaver, whatever ended that. Without a sandbox it
only watches, and kills what descends from it.

Control socket: it reads the walls (length, marshal) and builds them, writes "fit" or "unfit TEXT";
reads the command, perhaps much later, writes "ready" or "error TEXT"; then it reads a signal number
a line, or "sweep" to end all but the command itself ("swept"), and writes "exit N" or "signal N".
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import marshal
import os
import resource
import select
import struct
import sys

from . import kernel, landlock, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Plan = dict[str, Any]

CONTROL, OUTPUT, CHANNEL = 3, 4, 5


def read_plan() -> Plan:
    """Read what palaver wants done: the walls, or the command."""
    size = struct.unpack("=I", _exactly(CONTROL, 4))[0]
    plan: Plan = marshal.loads(_exactly(CONTROL, size))
    return plan


def _exactly(file: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(file, size - len(data))
        if not more:
            os._exit(0)  # palaver is gone
        data += more
    return data


def main() -> None:
    """Run as the program that bubblewrap starts."""
    try:
        confine(read_plan())
    except OSError as error:
        fail(str(error))
    run(confined=True)


def fail(text: str, kind: bytes = b"unfit") -> None:
    """Tell palaver why there is no command, and end; `kind` "error" if the cell itself is fine."""
    os.write(CONTROL, b"%s " % kind + text.replace("\n", " ").encode("utf-8", "replace") + b"\n")
    os._exit(1)


def confine(walls: Plan) -> None:
    """Take every right from this process that the walls don't leave it. Raises OSError."""
    limit(walls["limits"])
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(walls["writable"])
    seccomp.install()


def limit(limits: list[tuple[str, int]]) -> None:
    """Set caps for this process and all that it starts; what is lower already stays."""
    for name, value in limits:
        what = getattr(resource, name)
        hard = resource.getrlimit(what)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (least, least))


def run(*, confined: bool) -> None:
    """Wait for a command, start it, say how it ended; all that it started ends with it."""
    _tell(b"fit\n")
    plan = read_plan()
    wake = wake_on_child()
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    broken_read, broken_write = os.pipe()
    child = os.fork()
    if not child:
        _become(plan, broken_write)
    if confined:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # nobody inside may read this process
    os.close(broken_write)
    os.close(OUTPUT)
    if why := os.read(broken_read, 4096):
        fail(why.decode("utf-8", "replace"), b"error")
    _tell(b"ready\n")
    _watch(child, wake, confined)


def wake_on_child() -> int:
    """Return a file that can be read whenever a child has ended."""
    read, write = os.pipe()
    for file in (read, write):
        os.set_blocking(file, False)
    _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    return read


def _become(plan: Plan, broken: int) -> None:
    """Turn the forked child into the command."""
    try:
        os.setsid()
        for number in (_signal.SIGCHLD, _signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ):
            _signal.signal(number, _signal.SIG_DFL)
        standard_input = CHANNEL if plan["channel"] else os.open("/dev/null", os.O_RDONLY)
        os.dup2(standard_input, 0)
        os.dup2(OUTPUT, 1)
        os.dup2(OUTPUT, 2)
        os.closerange(3, broken)
        os.closerange(broken + 1, 1 << 16)
        os.chdir(plan["cwd"])
        os.execvpe(plan["argv"][0], plan["argv"], plan["env"])
    except OSError as error:
        os.write(broken, f"{plan['argv'][0]}: {error.strerror}".encode())
    os._exit(127)


def _watch(child: int, wake: int, confined: bool) -> None:
    poll = select.poll()
    poll.register(CONTROL, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        for file, _ in poll.poll():
            if file == wake:
                os.read(wake, 4096)
            else:
                _obey(child, confined)
        while (ended := next_ended()) is not None:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                _tell(b"exit %d\n" % code if code >= 0 else b"signal %d\n" % -code)
                _end(child, confined)


def next_ended() -> tuple[int, int] | None:
    """Reap one child that has ended; None where there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _obey(child: int, confined: bool) -> None:
    try:
        words = os.read(CONTROL, 4096)
    except OSError:
        words = b""
    if not words:
        _end(child, confined)
    for word in words.split():
        if word == b"sweep":
            _kill_descendants(child)
            _tell(b"swept\n")
            continue
        _signal_group(child, int(word))


def _tell(line: bytes) -> None:
    try:
        os.write(CONTROL, line)
    except OSError:
        pass  # nobody wants to know any more: the next poll says so


def _end(child: int, confined: bool) -> None:
    if not confined:
        _signal_group(child, _signal.SIGKILL)
        _kill_descendants()
    os._exit(0)


def _signal_group(child: int, number: int) -> None:
    try:
        os.killpg(child, number)
    except (ProcessLookupError, PermissionError):
        pass


def _kill_descendants(spared: int = 0) -> None:
    """Kill all that descends from this process: stopped first, so that nothing forks on."""
    while found := _descendants() - {spared}:
        for number in (_signal.SIGSTOP, _signal.SIGKILL):
            for pid in found | (_descendants() - {spared}):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        if not spared:
            while next_ended() is not None:
                pass


def _descendants() -> set[int]:
    parents = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    after_name = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if after_name[0] != b"Z":
                parents[int(name)] = int(after_name[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}

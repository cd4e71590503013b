"""A small process that forks the cells, so that starting one does not start Python.

It serves one palaver, over the socket that is its standard input: each request is a length, a
marshalled dict, and the cell's own files. It ends with palaver, and takes what is left along:
the cells see their control socket close; after a second they are killed.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import _socket
import array
import marshal
import os
import select
import struct
import sys
import time

from . import cell, cgroup, kernel, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Plan = dict[str, Any]

_GRACE = 1.0  # seconds in which cells end by themselves


def main(palaver: int) -> None:
    """Serve until `palaver`, a process id, has ended or closes the socket."""
    linux = sys.platform == "linux"
    if linux:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)  # cells whose parent was killed
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    wake = cell.wake_on_child()
    requests = _socket.socket(fileno=os.dup(0))
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    poll.register(wake, select.POLLIN)
    if linux:
        poll.register(os.pidfd_open(palaver), select.POLLIN)
        if os.getppid() != palaver:
            return
    cells: dict[int, Cell] = {}
    emptied: list[cgroup.Group] = []  # groups to remove once their last process is reaped
    cgroup.tidy()
    while True:
        for file, _ in poll.poll():
            if file == wake:
                os.read(wake, 4096)
                _reap(cells, emptied)
            elif file != requests.fileno() or not _serve(requests, cells):
                _finish(cells, emptied)
                return


class Cell:
    """A cell that runs: the number palaver knows it by, and its groups."""

    def __init__(self, number: int, group: cgroup.Group | None) -> None:
        self.number = number
        self.group = group


def _serve(requests: _socket.socket, cells: dict[int, Cell]) -> bool:
    """Do one request; False at the end of them."""
    files = array.array("i")
    size, ancillary, _, _ = requests.recvmsg(4, _socket.CMSG_SPACE(3 * files.itemsize))
    for _, _, data in ancillary:
        files.frombytes(data)
    if len(size) < 4:
        return False
    rest, data = struct.unpack("=I", size)[0], b""
    while len(data) < rest:
        more = requests.recv(rest - len(data))
        if not more:
            return False
        data += more
    request = marshal.loads(data)
    if "kill" in request:
        for pid, running in cells.items():
            if running.number == request["kill"]:
                os.kill(pid, _signal.SIGKILL)
        return True
    group = (
        cgroup.Group(f"palaver-{os.getpid()}-{request['number']}", request["group"])
        if request["group"]
        else None
    )
    pid = os.fork()
    if not pid:
        requests.close()
        _start_cell(request, list(files), group)
    for file in files:
        os.close(file)
    cells[pid] = Cell(request["number"], group)
    return True


def _start_cell(request: Plan, files: list[int], group: cgroup.Group | None) -> None:
    """Become the cell's outermost process: it has its files, and nothing else of ours."""
    try:
        os.setsid()
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        high = [os.dup2(file, 100 + at) for at, file in enumerate(files)]
        os.closerange(3, 100)
        for at, file in enumerate(high):
            os.dup2(file, cell.CONTROL + at)
        os.closerange(cell.CONTROL + len(high), 1 << 16)
        if group:
            group.join()
        if request["kind"] == "bubblewrap":
            kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
            os.dup2(cell.OUTPUT, 2)  # what bubblewrap complains of
            os.execv(request["argv"][0], request["argv"])
        if request["kind"] == "namespaces":
            _own_namespaces(cell.read_plan())
        elif request["kind"] == "seatbelt":
            cell.limit(cell.read_plan()["limits"])
        elif sys.platform == "linux":
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        cell.run(confined=request["kind"] == "namespaces")
    except OSError as error:
        cell.fail(str(error))
    os._exit(1)


def _own_namespaces(walls: Plan) -> None:
    """Fork process 1 of new namespaces, and confine it; only that process returns."""
    namespaces.leave(network=walls["network"])
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
    first = os.fork()
    if first:
        os.closerange(3, 1 << 16)
        os.waitpid(first, 0)
        os._exit(0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
    namespaces.enter(walls["view"], network=walls["network"], size=walls["scratch"])
    cell.confine(walls)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)  # a change of rights may clear it


def _reap(cells: dict[int, Cell], emptied: list[cgroup.Group]) -> None:
    while (ended := cell.next_ended()) is not None:
        if (gone := cells.pop(ended[0], None)) and gone.group:
            emptied.append(gone.group)
    emptied[:] = [group for group in emptied if not group.remove()]


def _finish(cells: dict[int, Cell], emptied: list[cgroup.Group]) -> None:
    """Palaver is gone: give the cells a moment to see it, then kill what is left."""
    end = time.monotonic() + _GRACE
    while cells and time.monotonic() < end:
        time.sleep(0.01)
        _reap(cells, emptied)
    for pid in cells:
        os.kill(pid, _signal.SIGKILL)
    while cells and time.monotonic() < end + _GRACE:
        time.sleep(0.01)
        _reap(cells, emptied)

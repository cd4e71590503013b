"""The launcher as palaver holds it: the process that forks the cells, and the words to it."""

from __future__ import annotations

import array
import marshal
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_RUN = "import sys; sys.path[:0] = [{!r}]; from inner import launcher; launcher.main({})"
_LONGEST_WAIT = 5.0


def packed(value: dict[str, Any]) -> bytes:
    """Write a plan or a request as the launcher and the cells read it."""
    data = marshal.dumps(value)
    return struct.pack("=I", len(data)) + data


class Launcher:
    """One process that lives as long as palaver, or until `close`.

    Its environment is clean: what it forks could be made to show it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it; this does not wait until it is up."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c",
                 _RUN.format(str(Path(__file__).parent), os.getpid())],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=dict(environment), cwd="/", start_new_session=True,
            )  # fmt: skip
        self._numbers = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    def start(self, request: dict[str, Any], files: list[int]) -> int:
        """Have a cell forked that gets these files; return the number to kill it by.

        Raises OSError where the launcher is gone.
        """
        self._numbers += 1
        data = packed(request | {"number": self._numbers})
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
        self._socket.sendmsg([data[:4]], [rights])
        self._socket.sendall(data[4:])
        return self._numbers

    def kill(self, number: int) -> None:
        """Kill a cell that does not end by itself."""
        self._socket.sendall(packed({"kill": number}))

    def close(self) -> None:
        """End it, and with it every cell."""
        self._socket.close()
        try:
            self._process.wait(_LONGEST_WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

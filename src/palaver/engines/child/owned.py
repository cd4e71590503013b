"""A server program of somebody else's, owned by an engine's process.

The process starts it, waits until it is healthy and then for its end, so that to the rest of the
program it is that engine. It goes with the process's group, and on Linux also where the process
alone is killed.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from palaver.core.errors import EngineError, UserError
from palaver.engines.child.options import Report

_POLL = 0.02  # seconds between looks at a server that is loading; grows tenfold
# On Linux the program ends with our main thread, whatever ended that.
_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
)


def find_program(path: str, fix: str) -> str:
    """Return the absolute path of a program; raises UserError where it can't be run."""
    name = Path(path).expanduser()
    found = name if name.exists() or "/" in path else Path(shutil.which(path) or name)
    if not found.exists():
        raise UserError(f"there is no {path}", fix=fix)
    if not found.is_file():
        raise UserError(f"{path} is no program", fix=fix)
    if not os.access(found, os.X_OK):
        raise UserError(f"{path} can't be executed", fix=f"try: chmod +x {path}")
    return str(found.absolute())


class Place:
    """Where the server listens, for the few requests made from here."""

    def __init__(self, path: str, port: int, secret: str) -> None:
        """`path` is a socket's, or empty for 127.0.0.1:`port`."""
        self.path = path
        self.port = port
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: object = None) -> int:
        """Send a request; return HTTP's status, 0 where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 80, timeout=5)
        try:
            if self.path:
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.settimeout(5)
                connection.sock.connect(self.path)
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, self._headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def start(
    line: Sequence[str], variables: Mapping[str, str], log: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start the program with these variables more; it writes to `log`, else to our stderr.

    Raises EngineError where that fails.
    """
    line = list(line)
    if sys.platform == "linux":
        line = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, *line]
    for name, value in variables.items():
        os.putenv(name, value)
    try:
        return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    except OSError as error:
        raise EngineError(f"it can't be started: {error.strerror}") from None


def healthy(
    process: subprocess.Popen[bytes],
    place: Place,
    began: float,
    report: Callable[[Report], None],
    loading: Callable[[int], str],
) -> bool:
    """Wait until the server answers or ends. Whoever started us ends the waiting.

    `loading` says what it does, after so many seconds.
    """
    pause = _POLL
    said = 0
    while process.poll() is None:
        if place.ask("GET", "/health") == 200:
            return True
        waited = int(time.monotonic() - began)
        if waited > said:
            said = waited
            report(Report(progress=loading(waited)))
        time.sleep(pause)
        pause = min(pause * 1.2, 10 * _POLL)
    return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ending(code: int) -> str:
    """Say how a program ended."""
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def end_as(code: int) -> None:
    """End this process the way the program did, so that our parent can say how."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code > 0 else 1)

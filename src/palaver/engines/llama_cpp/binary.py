"""A `llama-server` binary instead of the built-in llama.cpp, owned by the child process.

The child starts it, waits until it is healthy and then for its end, so that to the rest of the
program it looks like the built-in one: same socket, same key, same requests. It goes with the
child's process group, and on Linux also where the child alone is killed. Its flags are those of
llama.cpp's tools/server/README.md; what older versions lack is set by environment variables,
which they ignore.
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
from collections.abc import Callable, Sequence
from pathlib import Path

from palaver.core.errors import EngineError, UserError
from palaver.engines.child import folders
from palaver.engines.child.options import ModelFile, Options, Report
from palaver.engines.llama_cpp.memory import CHECKPOINTS

_POLL = 0.02  # seconds between looks at a server that is loading; grows tenfold
_VARIABLES = {
    "LLAMA_ARG_CTX_CHECKPOINTS": str(CHECKPOINTS),
    "LLAMA_ARG_CACHE_RAM": "0",  # states are swapped by us, so that what is cached is known
    "LLAMA_ARG_FIT": "off",  # the context is ours to choose
    "LLAMA_LOG_VERBOSITY": "1",  # errors: the log would grow with each request
}
# On Linux the binary ends with the child's main thread, whatever ended that.
_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
)


def check(path: str) -> str:
    """Return the absolute path of the binary; raises UserError where it can't be run."""
    name = Path(path).expanduser()
    found = name if name.exists() or "/" in path else Path(shutil.which(path) or name)
    fix = "name the llama-server binary with --llama-server PATH"
    if not found.exists():
        raise UserError(f"there is no {path}", fix=fix)
    if not found.is_file():
        raise UserError(f"{path} is no program", fix=fix)
    if not os.access(found, os.X_OK):
        raise UserError(f"{path} can't be executed", fix=f"try: chmod +x {path}")
    return str(found.absolute())


def run(options: Options, model: ModelFile, report: Callable[[Report], None]) -> None:
    """Start the binary, report `ready`, and end as it ends. Raises EngineError before that."""
    key = Path(options.folder) / "key"
    key.touch(mode=0o600)
    key.write_text(options.secret + "\n")
    began = time.monotonic()
    place = _Place(model.socket, 0, options.secret)
    process = _start(command(options, model, key, ["--host", model.socket]))
    if not _healthy(process, place, began, report) and "bind" in _log(options):
        # Versions before 2025 know no unix sockets.
        place = _Place("", _free_port(), options.secret)
        host = ["--host", "127.0.0.1", "--port", str(place.port)]
        process = _start(command(options, model, key, host))
        _healthy(process, place, began, report)
    if process.poll() is not None:
        raise EngineError(f"it {_ending(process.returncode)}")
    _scale(options.loras, place)
    report(Report(ready=True, port=place.port))
    _end_as(process.wait())


def command(options: Options, model: ModelFile, key: Path, host: Sequence[str]) -> list[str]:
    """Return the command line that serves with these settings at `host`."""
    return [
        str(options.llama_server),
        *("--model", options.model),
        *host,
        *("--api-key-file", str(key)),  # a command line can be read by everybody
        *("--ctx-size", str(model.context * options.parallel)),
        *("--parallel", str(options.parallel)),
        *("--batch-size", str(options.batch), "--ubatch-size", str(options.batch)),
        *("--threads", str(model.threads), "--threads-batch", str(model.threads)),
        *("--cache-type-k", options.kv_type, "--cache-type-v", options.kv_type),
        *("--slot-save-path", options.slots.rstrip("/") + "/"),
        "--no-warmup",
        *(part for path, _ in options.loras for part in ("--lora", path)),
    ]


class _Place:
    """Where the server listens, for the few requests made from here."""

    def __init__(self, path: str, port: int, secret: str) -> None:
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


def _start(line: list[str]) -> subprocess.Popen[bytes]:
    for name, value in _VARIABLES.items():
        os.putenv(name, value)
    if sys.platform == "linux":
        line = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, *line]
    try:
        return subprocess.Popen(line, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise EngineError(f"it can't be started: {error.strerror}") from None


def _healthy(
    process: subprocess.Popen[bytes],
    place: _Place,
    began: float,
    report: Callable[[Report], None],
) -> bool:
    """Wait until the server answers or ends. Whoever started us ends the waiting."""
    pause = _POLL
    said = 0
    while process.poll() is None:
        if place.ask("GET", "/health") == 200:
            return True
        waited = int(time.monotonic() - began)
        if waited > said:
            said = waited
            report(Report(progress=f"llama-server is loading the model, {waited} s"))
        time.sleep(pause)
        pause = min(pause * 1.2, 10 * _POLL)
    return False


def _scale(loras: Sequence[tuple[str, float]], place: _Place) -> None:
    """Set the adapters' scales: by request, because the flag's form differs by version."""
    scales = [{"id": i, "scale": scale} for i, (_, scale) in enumerate(loras)]
    if any(scale != 1.0 for _, scale in loras):
        status = place.ask("POST", "/lora-adapters", scales)
        if status != 200:
            raise EngineError(f"it refused the scales of the LoRA adapters (HTTP status {status})")


def _log(options: Options) -> str:
    try:
        return (Path(options.folder) / folders.LOG).read_bytes()[-4000:].decode(errors="replace")
    except OSError:
        return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _end_as(code: int) -> None:
    """End this process the way the binary did, so that our parent can say how."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code > 0 else 1)

"""palaver on a real pseudo-terminal, its screen kept by pyte."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import pexpect
import pyte
from tests.support.gguf import make_tiny
from tests.terminal.screens import History, rows

from palaver import demo

PALAVER = [sys.executable, "-m", "palaver.cli.main"]
PATIENCE = 25.0  # seconds; the machines that run this are slow and shared
LONG = ("--max-tokens", "20000", "--context", "24576", "--temperature", "0")  # some seconds long


@cache
def tiny() -> Path:
    """Return a random model that says noise; greedy, it never ends."""
    folder = Path(tempfile.mkdtemp(prefix="palaver-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_tiny(folder / "tiny.gguf", **{"llama.context_length": 32768})


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which palaver's files stand under `home`.

    Answers are greedy where nothing else is asked for: sampled noise can end at any token.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {"PALAVER_HOME": str(home), "PALAVER_TEMPERATURE": "0", "TERM": "xterm-256color"}
    return kept | own | more


def piped(home: Path, *args: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run palaver with what is typed on a pipe."""
    return subprocess.run(
        [*PALAVER, *args],
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment(home),
        timeout=PATIENCE,
        check=False,
    )


class Terminal:
    """A program on a pty. Use it as a context manager: what still runs at the end is killed."""

    def __init__(
        self,
        home: Path,
        *args: str,
        columns: int = 80,
        lines: int = 24,
        env: dict[str, str] | None = None,
        command: list[str] | None = None,
        model: Path | None = None,
    ) -> None:
        given = ["-m", str(model or tiny()), "--threads", "1"]
        if "--context" not in args:
            given += ["--context", "2048"]
        argv = command or [*PALAVER, *given, *args]
        self.screen = History(columns, lines, history=10_000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(
            argv[0],
            argv[1:],
            env=environment(home, **(env or {})),
            dimensions=(lines, columns),
            timeout=PATIENCE,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if value is not None:
            print(self.text())
        with contextlib.suppress(OSError, ProcessLookupError):
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        with contextlib.suppress(OSError, pexpect.ExceptionPexpect):  # killed, but not at once
            self.child.close(force=True)

    @property
    def pid(self) -> int:
        return int(self.child.pid)

    def read(self, seconds: float = 0.05) -> bool:
        """Take what has come; False at the end of the program."""
        try:
            data = self.child.read_nonblocking(1 << 16, seconds)
        except pexpect.TIMEOUT:
            return True
        except (pexpect.EOF, OSError):
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait(self, what: str | Callable[[], Any], seconds: float = PATIENCE) -> str:
        """Read until the text stands somewhere, or the condition holds; return all rows."""
        met = what if callable(what) else lambda: what in self.text()
        end = time.monotonic() + seconds
        going = True
        while not met():
            if not going or time.monotonic() > end:
                raise AssertionError(f"never saw {what!r}; screen:\n{self.text()}")
            going = self.read()
        return self.text()

    def send(self, keys: str | bytes) -> None:
        self.child.send(keys)

    def line(self, text: str) -> None:
        """Type a line and send it, in two reads as a hand would."""
        self.send(text + "\r")

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        self.child.setwinsize(lines, columns)

    def rows(self) -> list[str]:
        """Return all rows, those that scrolled off first."""
        return rows(self.screen)

    def text(self) -> str:
        return "\n".join(self.rows())

    def streams(self, size: int = 1500) -> None:
        """Wait until an answer comes."""
        begun = len(self.raw)
        self.wait(lambda: len(self.raw) > begun + size)

    def status(self) -> str:
        return self.rows()[-1]

    def ready(self) -> None:
        """Wait until the model is loaded and the next turn's cost is shown."""
        self.wait(lambda: "next:" in self.text())

    def answered(self, times: int = 1) -> None:
        """Wait until so many answers are over and the next can be asked for."""
        self.wait(lambda: len(re.findall(r"\d+ reused,\s+\d+ read", self.text())) >= times)
        self.ready()

    def leave(self) -> None:
        """End the chat as a user does."""
        self.send("\x04")
        assert self.ended() == 0

    def ended(self, seconds: float = PATIENCE) -> int:
        """Read to the end of the program; return its exit code, -signal if one ended it."""
        end = time.monotonic() + seconds
        while self.read(0.2):
            if time.monotonic() > end:
                raise AssertionError(f"it does not end; screen:\n{self.text()}")
        self.child.wait()
        code, ended_by = self.child.exitstatus, self.child.signalstatus
        return int(code) if code is not None else -int(ended_by)


def shipped(home: Path, *args: str, **more: Any) -> Terminal:
    """Return a chat with the model that ships; use it as a context manager."""
    return Terminal(home, *args, model=demo.path(), **more)

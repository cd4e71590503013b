"""What all benchmarks share: a pseudo-terminal with a clock, rounds, ratios and tables.

Figures are compared inside one round, one after the other on the same machine in the same
minute, and quoted as ratios: median, least and greatest over the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fcntl import ioctl
from pathlib import Path
from typing import NamedTuple

import pyte

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PALAVER = str(BIN / "palaver")
COLUMNS, ROWS = 120, 40
PROMPT = "you> "

# Known to both sides, so that a raw loop can talk to the very child that palaver started.
SECRET = "benchmark"
WITH_SECRET = [
    sys.executable,
    "-c",
    f"import secrets; secrets.token_urlsafe = lambda n=0: {SECRET!r}\n"
    "from palaver.cli.main import main; main()",
]
STATUS = "{model} threads={threads} {cost}"
_FIGURES = re.compile(
    rb"(\d+) tokens?(?:  ([\d.]+) tokens/s)?(?:  first after ([\d.]+ \w+))?"
    rb"  (\d+) reused, (\d+) read|nothing was answered"
)


def arguments(doc: str, *, rounds: int, model: bool = False) -> argparse.ArgumentParser:
    """Make the parser that each benchmark adds its own options to."""
    parser = argparse.ArgumentParser(description=doc.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds ({rounds})")
    if model:
        parser.add_argument("--model", type=Path, help="GGUF (made if none is given)")
    return parser


def model_file(given: Path | None, shape: str = "qwen3-0.6b", kind: str = "q8_0") -> Path:
    """Return the model to use: what was given, else one of random weights, written once."""
    if given:
        return given.absolute()
    path = cache_folder() / f"{shape}-{kind}.gguf"
    if not path.exists():
        print(f"writing {path}", file=sys.stderr)
        sys.path.insert(0, str(ROOT))
        from benchmarks.make_gguf import REAL, TINY, write

        scratch = path.with_suffix(".part")
        write(scratch, (TINY | REAL)[shape](), kind)
        scratch.rename(path)
    return path


def cache_folder() -> Path:
    """Return where benchmarks keep what takes long to make (PALAVER_BENCH, else a temp folder)."""
    path = Path(os.environ.get("PALAVER_BENCH") or Path(tempfile.gettempdir()) / "palaver-bench")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return a program's environment: nothing of the user's but PATH, its own home."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PALAVER_STATUS": STATUS,
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
    } | more


@contextlib.contextmanager
def fresh_home() -> Iterator[Path]:
    """Give an empty home folder and remove it at the end."""
    path = Path(tempfile.mkdtemp(prefix="palaver-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Terminal:
    """A program in a pseudo-terminal of 120x40; when each piece came is noted.

    `live`: pieces are shown to the emulator as they come, and its answers to queries sent. Else
    that is done when asked (`when`), so that the emulator takes no time from what is measured.
    """

    def __init__(self, argv: Sequence[str], env: dict[str, str], *, live: bool = True) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.screen.write_process_input = self._answer  # type: ignore[method-assign]
        self.pieces: list[tuple[float, bytes]] = []
        self.raw = bytearray()
        self._stream = pyte.ByteStream(self.screen)
        self._shown = 0
        self._live = live
        self.fd, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=env,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - no threads here
        )  # fmt: skip
        os.close(slave)

    def _answer(self, data: str) -> None:
        if self._live:
            self.send(data)

    def send(self, text: str) -> float:
        """Type text; return when."""
        at = time.perf_counter()
        os.write(self.fd, text.encode())
        return at

    def read(self, timeout: float) -> bool:
        """Take what comes within `timeout` seconds; False if nothing did or the program ended."""
        if not select.select([self.fd], [], [], max(0.0, timeout))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        if not data:
            return False
        self.pieces.append((time.perf_counter(), data))
        self.raw += data
        if self._live:
            self.show()
        return True

    def show(self) -> None:
        """Show the emulator all that has come."""
        while self._shown < len(self.pieces):
            self._stream.feed(self.pieces[self._shown][1])
            self._shown += 1

    def when(self, condition: Callable[[list[str]], bool], timeout: float = 60.0) -> float:
        """Show the pieces one by one until the screen satisfies; return when that piece came.

        Raises TimeoutError, with the screen in its message.
        """
        end = time.perf_counter() + timeout
        while True:
            while self._shown < len(self.pieces):
                at, data = self.pieces[self._shown]
                self._stream.feed(data)
                self._shown += 1
                if condition(list(self.screen.display)):
                    return at
            if not self._wait_for_piece(end):
                raise TimeoutError("not seen on the screen:\n" + self.text())

    def until(self, needle: bytes, start: int = 0, timeout: float = 600.0) -> int:
        """Read until the raw output holds `needle` after `start`; return where it ends."""
        end = time.perf_counter() + timeout
        while (at := self.raw.find(needle, start)) < 0:
            if not self._wait_for_piece(end):
                self.show()
                raise TimeoutError(f"{needle!r} did not come:\n" + self.text())
        return at + len(needle)

    def _wait_for_piece(self, end: float) -> bool:
        while not self.read(min(0.2, end - time.perf_counter())):
            if self.process.poll() is not None and not self.read(0.05):
                return False
            if time.perf_counter() > end:
                return False
            if self._live and self._shown < len(self.pieces):
                return True
        return True

    def at_prompt(self, start: str = PROMPT, timeout: float = 60.0) -> float:
        """Wait until a row begins with the prompt; return the seconds since the exec."""
        return self._since(lambda rows: any(row.startswith(start) for row in rows), timeout)

    def _since(self, condition: Callable[[list[str]], bool], timeout: float) -> float:
        if self._live:
            self.show()
            while not condition(list(self.screen.display)):
                if not self._wait_for_piece(self.began + timeout):
                    raise TimeoutError("not seen on the screen:\n" + self.text())
            return self.pieces[-1][0] - self.began
        return self.when(condition, timeout) - self.began

    def echo(self, key: str = "Q", timeout: float = 10.0) -> float:
        """Type a key; return the seconds until it stands on the screen (`live` alone)."""
        at = self.send(key)
        return self._since(lambda rows: any(_typed(row, key) for row in rows),
                           timeout) - (at - self.began)  # fmt: skip

    def text(self) -> str:
        """Return what stands on the screen."""
        return "\n".join(row.rstrip() for row in self.screen.display).strip()

    def end(self, wait: float = 15.0) -> None:
        """Leave by Ctrl-D; what does not end within `wait` seconds is killed."""
        with contextlib.suppress(OSError):
            self.send("\x04")
        end = time.perf_counter() + wait
        while self.process.poll() is None and time.perf_counter() < end:
            self.read(0.05)
        self.kill()

    def kill(self) -> None:
        """End it at once; safe to call twice."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _typed(row: str, key: str) -> bool:
    return bool(re.match(rf"\S*> ?{re.escape(key)}", row))


def _own_terminal() -> None:
    os.setsid()
    ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Turn(NamedTuple):
    """One answer as it was seen: seconds from Enter to its first and last character, figures."""

    first: float
    last: float
    tokens: int
    reused: int
    read: int
    threads: int

    @property
    def rate(self) -> float:
        """Tokens a second from the first one seen to the last."""
        return (self.tokens - 1) / (self.last - self.first)


class Chat(Terminal):
    """`palaver chat` in a terminal, with a raw loop's secret if `shared`."""

    def __init__(
        self,
        env: dict[str, str],
        *flags: str,
        shared: bool = False,
        live: bool = False,
        under: Sequence[str] = (),
    ) -> None:
        """Start it; `under` is a program that runs it, such as a tracer."""
        argv = [*under, *(WITH_SECRET if shared else [PALAVER]), "chat", *flags]
        super().__init__(argv, env, live=live)

    def loaded(self, timeout: float = 120.0) -> None:
        """Wait until the model is loaded: the status line then names its threads."""
        self.when(lambda rows: any(re.search(r"threads=\d", row) for row in rows), timeout)

    def turn(
        self,
        line: str,
        timeout: float = 900.0,
        *,
        said: str | None = None,
        seen_first: bool = True,
    ) -> Turn:
        """Send a line, wait until it is answered. `said` is what is echoed, if not the line.

        `seen_first` False does not look for the first character: a reply may be blank.
        """
        while self.read(0):
            pass
        start, pieces = len(self.raw), len(self.pieces)
        sent = self.send(line + "\r")
        end = time.perf_counter() + timeout
        while not (figures := _FIGURES.search(self.raw, start)):
            if not self._wait_for_piece(end):
                self.show()
                raise TimeoutError(f"no figures came ({self.process.poll()}):\n" + self.text())
        last = self.pieces[-1][0]
        first = self._first(said or line, pieces) if seen_first else last
        tokens, _, _, reused, read = figures.groups(default=b"0")
        threads = re.findall(rb"threads=(\d+)", self.raw[-20000:])
        return Turn(
            first - sent, last - sent, int(tokens), int(reused), int(read),
            int(threads[-1]) if threads else 0,
        )  # fmt: skip

    def _first(self, said: str, pieces: int) -> float:
        """Return when the first character of the answer to `said` stood on the screen."""
        while self._shown < pieces:
            self._stream.feed(self.pieces[self._shown][1])
            self._shown += 1
        echoes = len(_echoes(list(self.screen.display), said))
        fresh = False

        def begun(rows: list[str]) -> bool:
            """The answer to a new echo: an earlier one may have said the same."""
            nonlocal fresh
            found = answered(rows, said)
            fresh = fresh or not found or len(_echoes(rows, said)) > echoes
            return found and fresh

        at = self.when(begun)
        self.show()
        return at


def _echoes(rows: list[str], said: str) -> list[int]:
    echo = (PROMPT + said)[: COLUMNS - 5].rstrip()
    return [i for i, row in enumerate(rows) if row.startswith(echo)]


def answered(rows: list[str], said: str) -> bool:
    """Say whether below the last echo of `said` stands something that is an answer."""
    echoes = _echoes(rows, said)
    if not echoes:
        return False
    for row in rows[echoes[-1] + 1 :]:
        if text := row.strip():
            return not text.startswith((PROMPT.rstrip(), "reading", "loading the", "queued:"))
    return False


# -- figures -----------------------------------------------------------------------------------


def wall(argv: Sequence[str], env: dict[str, str]) -> float:
    """Run a program to its end, its output thrown away; return the seconds it took."""
    began = time.perf_counter()
    subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """Write median (least-greatest)."""
    found = sorted(values)
    if not found:
        return "none"
    middle = statistics.median(found)
    return f"{middle:{form}} ({found[0]:{form}}-{found[-1]:{form}})"


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(these, those, strict=True)]


def verdict(value: float, most: float | None = None, least: float | None = None) -> str:
    """Write whether a median reaches its target."""
    if most is not None:
        return f"{'reached' if value <= most else 'MISSED'} (at most {most:g})"
    return f"{'reached' if least is not None and value >= least else 'MISSED'} (at least {least:g})"


def conditions() -> None:
    """Print what the figures depend on."""
    load = "/".join(f"{x:.1f}" for x in os.getloadavg())
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    cores = len(os.sched_getaffinity(0))
    print(f"{now}, {cores} cores, load {load}, Python {platform.python_version()}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in columns."""
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    for line in [head, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), flush=True)

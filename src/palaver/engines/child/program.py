"""What every engine's process is around the engine: told its options on stdin, ended with stdin.

It ends when stdin closes, that is with its parent, whatever ended that.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from palaver.core.errors import PalaverError, UserError
from palaver.engines.child.options import Options, Report

Say = Callable[[Report], None]


def end() -> None:
    """End at once, with what we started: freeing a large model takes time that nobody waits for."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _end_with_parent() -> None:
    """End when stdin closes.

    Not PR_SET_PDEATHSIG: that is sent when the thread ends which started us, too.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        end()

    threading.Thread(target=wait, daemon=True).start()


def _modest() -> None:
    """Write no core file, it would hold the conversation; end before the chat if memory ends."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def run(serve: Callable[[Options, Say], None], preload: Sequence[str]) -> None:
    """Read options and call `serve`, which loads, says so and goes on for good.

    What it raises is reported as the reason why loading failed. `preload` are modules to import
    while the parent draws its prompt, before it has said what to load.
    """
    # Native libraries may print: only reports go to the parent.
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    for module in preload:
        importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    _end_with_parent()
    _modest()

    def report(message: Report) -> None:
        with contextlib.suppress(BrokenPipeError):  # the parent is gone: stdin will say so
            reports.write(msgspec.json.encode(message) + b"\n")

    try:
        serve(msgspec.json.decode(line, type=Options), report)
    except UserError as error:
        report(Report(error=error.message, fix=error.fix, kind="user"))
    except PalaverError as error:
        report(Report(error=error.message, fix=error.fix))
    except MemoryError:
        report(Report(error="the machine has too little memory for this model and context"))
    except RuntimeError as error:
        report(Report(error=str(error)))
    end()

"""An engine's process that is started first and told what to load later.

Imports nothing but the standard library, because it runs before the prompt is drawn.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


class Prespawned:
    """A process that waits for its options; starting it costs a millisecond or two.

    Its socket and log stand in a fresh folder of mode 0700.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.unused = True

    @classmethod
    def start(cls, parent: Path, env: dict[str, str]) -> Prespawned:
        """Start it; `env` is all of its environment, `parent` where its folder is made."""
        folder = parent / f"engine-{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir(mode=0o700)
        env = env | {
            "GOMP_SPINCOUNT": "1000",  # see docs/adr/0007-threads.md
            "GGML_NO_BACKTRACE": "1",  # else an abort starts gdb
        }
        with (folder / "log").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "palaver.engines.llama_cpp.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=env,
                start_new_session=True,  # Ctrl-C in the terminal is not for it
            )
        return cls(process, folder)

    def kill(self) -> None:
        """End it and remove its folder; safe to call twice."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

"""An engine's process that is started first and told what to load later.

Imports nothing but the standard library, because it runs before the prompt is drawn.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from palaver.core.errors import EngineError
from palaver.engines.child import folders

LLAMA_CPP = ("palaver.engines.llama_cpp.child",)
# How often OpenMP's threads look for work before they sleep (docs/adr/0007-threads.md): few, beside
# what a user has open; more where several clients share an engine, on a machine that is a server.
_SPINS, _SPINS_SHARED = 1000, 8000


class Prespawned:
    """A process that waits for its options; starting it costs a millisecond or two.

    Its socket and log stand in a fresh folder of mode 0700.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], folder: Path, program: Sequence[str]
    ) -> None:
        self.process = process
        self.folder = folder
        self.program = program

    @classmethod
    def start(
        cls,
        parent: Path,
        env: dict[str, str],
        program: Sequence[str] = LLAMA_CPP,
        *,
        shared: bool = False,
    ) -> Prespawned:
        """Start a module with arguments; `env` is all of its environment.

        `parent` is where its folder is made. `shared`: it is to have several slots.

        Raises EngineError where the system refuses folder or process.
        """
        env = env | {
            "GOMP_SPINCOUNT": str(_SPINS_SHARED if shared else _SPINS),
            "GGML_NO_BACKTRACE": "1",  # else an abort starts gdb
            "HF_HUB_OFFLINE": "1",  # engines load what is here; `palaver models pull` downloads
            "TOKENIZERS_PARALLELISM": "false",  # a prompt is one text: threads would be for nothing
        }
        folder: Path | None = None
        try:
            folder = folders.make(parent)
            with (folder / folders.LOG).open("wb") as errors:
                folders.hold(errors)
                process = subprocess.Popen(
                    # -P: a palaver/ or msgspec.py in the current folder is not ours to run
                    [sys.executable, "-P", "-m", *program],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=env,
                    start_new_session=True,  # Ctrl-C in the terminal is not for it
                )
        except OSError as error:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            raise EngineError(
                f"the engine's process can't be started in {parent}: {error.strerror or error}",
                fix="if the disk is full, free some space; else set PALAVER_HOME to a folder that"
                " you can write to",
            ) from None
        return cls(process, folder, tuple(program))

    def kill(self) -> None:
        """End it, with what it started, and remove its folder; safe to call twice."""
        # The group has its number as long as its leader was not waited for.
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)
